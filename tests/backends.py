"""Says what happens when a real thing that a test needs is missing: a skip, or a failure where promised."""

from __future__ import annotations

import os

import pytest


def need(backend: str, available: bool, why: str) -> None:  # noqa: FBT001 - read as a sentence at every call
    """Go on if `available`; else skip, or fail when BREAKGLASS_REQUIRE lists `backend`."""
    if available:
        return
    required = os.environ.get("BREAKGLASS_REQUIRE", "").replace(" ", "").split(",")
    if backend in required:
        pytest.fail(f"{backend} is required (BREAKGLASS_REQUIRE) but not available: {why}", pytrace=False)
    pytest.skip(f"{backend}: {why}")
