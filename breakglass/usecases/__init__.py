"""One function for each thing that an operator wants; no printing and no branches on a cloud."""
