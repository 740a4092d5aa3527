"""MicroISP (Ignatov et al., ECCV Workshops 2022)."""
