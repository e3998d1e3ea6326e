"""The agent as units of systemd: what they are called, what starts them, how they are masked and stopped."""
