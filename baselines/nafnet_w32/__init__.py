"""NAFNet (Chen et al., ECCV 2022) of width 32, rendering RAW to sRGB."""
