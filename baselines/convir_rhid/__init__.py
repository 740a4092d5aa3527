"""ConvIR (Cui et al., TPAMI 2024) as an ISP, as the RHID project ported it."""
