"""MetaISP as the RHID project ported it (strided convolutions, its own spatial weighting)."""
