"""Containers of Docker and Podman without an orchestrator: their names, engines and cgroups."""
