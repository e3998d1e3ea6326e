"""Kills and attacks real stops; `make campaign` takes every point, `make test` a fixed sample."""
