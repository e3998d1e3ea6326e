"""Tests of the core; a package, so that files in different folders may share a name."""
