"""Proof that a baseline is its authors' network: reference outputs for weights and inputs anyone can regenerate."""
