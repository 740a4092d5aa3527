"""RMFA-Net tiny (Li et al., 2024), in the form of a public PyTorch implementation."""
