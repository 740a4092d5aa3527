"""PUNET: the U-Net baseline of the Mobile AI 2021 learned smartphone ISP challenge."""
