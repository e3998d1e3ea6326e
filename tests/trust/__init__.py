"""Trust: signatures, keys, quorum, rosters."""
