"""Drives the host provider on another machine: a runner sent over ssh, and what it is told and tells."""
