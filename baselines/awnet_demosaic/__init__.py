"""AWNet on demosaiced RAW (Dai et al., ECCVW 2020)."""
