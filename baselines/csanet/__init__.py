"""CSANet: channel and spatial attention for a mobile ISP (Hsyu et al., CVPR Workshops 2021)."""
