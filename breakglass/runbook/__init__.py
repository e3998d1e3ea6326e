"""Runbooks: which capabilities run in which order, and what the operator reads meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.runbook.model import Runbook


def shipped() -> Mapping[str, Runbook]:
    """Return the runbooks that come with breakglass, by name.

    Raises:
        MalformedInput: the installation is damaged: a shipped runbook is absent or does not parse.
    """
    from breakglass.runbook.shelf import read_shelf

    return read_shelf()
