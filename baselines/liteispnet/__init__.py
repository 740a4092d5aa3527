"""LiteISPNet: the light wavelet U-Net of the aligned-supervision paper."""
