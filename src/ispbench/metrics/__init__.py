"""What is measured of a run: image quality, complexity, latency and memory."""
