"""RobustISP (Arhire and Timofte, CVPR Workshops 2025)."""
