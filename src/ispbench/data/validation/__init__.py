"""Validation of a dataset: files, levels, CFA phase, splits."""
