"""Whole photos through a network: reading them, rendering them at once or in tiles."""
