"""Executes runs: slots, claims, leases, streams, stops, drain.  Knows graphs and stores, nothing of HTTP."""
