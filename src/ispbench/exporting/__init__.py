"""Networks as files for other runtimes, compared with PyTorch before they are handed over."""
