"""PyNET: the five-level pyramid network of Ignatov et al. (CVPR Workshops 2020)."""
