"""Tests of the engine: in simulation, and on threads."""
