"""Reads the systemd journal of an agent's units and user, and writes it down without secrets."""
