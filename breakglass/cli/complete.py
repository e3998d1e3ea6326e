"""What a shell offers after Tab: names from folders and metadata, never from the kit's YAML or a provider."""

from __future__ import annotations

import os
from pathlib import Path


def incidents(incomplete: str) -> list[str]:
    """Offer the incidents of the home folder, newest first."""
    from breakglass.incident.folder import home_folder

    home = home_folder(os.environ)
    if not home.is_dir():
        return []
    folders = sorted(home.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.name for path in folders if path.is_dir() and path.name.startswith(incomplete)]


def agents(incomplete: str) -> list[str]:
    """Offer the agents of the kit by the names of their files."""
    return _stems("agents", incomplete)


def runbooks(incomplete: str) -> list[str]:
    """Offer the runbooks that ship and those of the kit."""
    from breakglass.runbook.shelf import SHIPPED

    found = {*SHIPPED, *_stems("runbooks", "")}
    return sorted(name for name in found if name.startswith(incomplete))


def providers(incomplete: str) -> list[str]:
    """Offer the installed providers."""
    from breakglass import registry

    return [item.name for item in registry.names() if item.name.startswith(incomplete)]


def scenarios(incomplete: str) -> list[str]:
    """Offer the drill's scenarios."""
    from breakglass.drill.scenario import SCENARIOS

    return [item.name for item in SCENARIOS if item.name.startswith(incomplete)]


def _stems(folder: str, incomplete: str) -> list[str]:
    kit = Path(os.environ.get("BREAKGLASS_KIT") or "/etc/breakglass/kit")
    return sorted(path.stem for path in (kit / folder).glob("*.yaml") if path.stem.startswith(incomplete))
