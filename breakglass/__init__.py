"""Stop a misbehaving production AI agent everywhere it acts, and prove that it is stopped."""

__version__ = "0.1.0.dev0"
