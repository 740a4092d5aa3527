"""Scoring any model, and measuring its size and speed."""
