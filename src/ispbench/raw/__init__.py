"""RAW handling: Bayer packing, CFA phases, levels, demosaic, sensor simulation."""
