"""The host provider's actions, one file each."""
