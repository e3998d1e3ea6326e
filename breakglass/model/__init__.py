"""The values that the stages pass to each other: frozen, and parsed at the edge."""
