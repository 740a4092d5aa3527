"""Image quality: pure functions, and one table that says all about each."""
