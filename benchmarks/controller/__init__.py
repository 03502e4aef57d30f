"""The controller at a thousand resources on a real API server: time, requests, memory, start, and a simulated day."""
