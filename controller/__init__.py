"""Deciding: capacity, guardrails and the replica floor.  Needs neither torch nor onnxruntime."""
