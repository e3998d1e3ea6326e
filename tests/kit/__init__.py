"""Kits and runbooks."""
