"""Targets aligned with the RAW: color mapping, optical flow and warping."""
