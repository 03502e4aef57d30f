"""The HTTP API: the part of LangGraph Server's that the official client uses, probes, metrics."""
