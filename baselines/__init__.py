"""The baselines, one folder a network: code, card, published numbers. Imported as ``ispbench.baselines``."""
