"""Real servers for tests, started on free loopback ports with throw-away data."""
