"""Records of trainings and evaluations, their keys, and the leaderboard made of them."""
