"""SYENet-ISP (Gou et al., ICCV 2023)."""
