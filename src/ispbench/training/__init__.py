"""Training and testing: the Lightning module, losses, callbacks, the run."""
