"""PyNET-V2 Mobile (Ignatov et al., ICPR 2022)."""
