"""Game days: a live agent that resists, a downstream system that stamps what arrives, and a score."""
