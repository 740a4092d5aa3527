"""Checks of a dataset: files, levels, CFA, splits."""
