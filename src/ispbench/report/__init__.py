"""The report: one HTML page with the leaderboard, its plots and its images."""
