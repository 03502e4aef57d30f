"""Learning and judging, offline: the network, its training, and rolling-origin evaluation."""
