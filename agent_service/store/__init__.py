"""Where threads, runs, events and checkpoints are kept: in memory, in SQLite, in PostgreSQL."""
