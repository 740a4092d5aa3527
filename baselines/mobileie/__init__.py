"""MobileIE in its ISP form (Yan et al., ICCV 2025)."""
