"""The append-only, hash-chained record of a run; it is the crash journal too."""
