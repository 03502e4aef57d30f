"""Answers: chosen and worded by rules or a model, and checked against the evidence."""
