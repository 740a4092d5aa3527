"""Targets aligned with the RAW: colour mapping, optical flow and warping."""
