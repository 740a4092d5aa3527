"""AWNet on packed RAW (Dai et al., ECCVW 2020), and the blocks that its demosaiced form shares."""
