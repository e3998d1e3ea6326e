"""Tests of the command line, at a terminal and from a script."""
