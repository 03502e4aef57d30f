"""Load tests with Locust: run by `make loadtest`, or by hand with more users."""
