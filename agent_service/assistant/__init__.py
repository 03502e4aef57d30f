"""The assistant: explains the autoscaler from evidence, replays what-ifs, proposes changes for approval."""
