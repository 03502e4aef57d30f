"""What answers stand on: which tools are used, what they are asked with, where they look."""
