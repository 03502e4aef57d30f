"""What a person asks: intent, workload, fields, amounts and times, read by rules or refused."""
