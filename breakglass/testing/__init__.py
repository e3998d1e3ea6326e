"""Fakes that implement the ports; in the product, because drills and strangers' providers need them too."""
