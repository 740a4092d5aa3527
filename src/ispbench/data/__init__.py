"""Datasets of RAW and sRGB pairs, behind one datamodule."""

SPLITS = ("train", "val", "test")
