"""What a run of the agent service costs, beside langgraph alone."""
