"""Run records, their schema, and the leaderboard made of them."""
