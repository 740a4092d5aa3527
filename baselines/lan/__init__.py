"""LAN (Raimundo et al., CVPR Workshops 2022)."""
