"""The command line: parses, calls one use case, renders, exits. The only part that prints."""
