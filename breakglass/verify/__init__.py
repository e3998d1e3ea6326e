"""Decides, purely, what the observations prove."""
