"""Training losses, one kind a file, and their weighted sum."""
