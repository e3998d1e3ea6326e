"""Whole stops of agents on other machines."""
