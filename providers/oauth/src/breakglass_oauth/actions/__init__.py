"""The actions of the provider, one capability a file."""
