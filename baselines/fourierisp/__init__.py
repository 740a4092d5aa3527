"""FourierISP (He et al., AAAI 2024)."""
