"""Operators' and executors' keys: where they lie, how they sign, how a signature is checked."""
