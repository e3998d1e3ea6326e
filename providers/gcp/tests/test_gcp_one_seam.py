"""Nothing of the provider but its seam knows that there are sandboxes."""

from __future__ import annotations

from pathlib import Path

import breakglass_gcp

SOURCE = Path(breakglass_gcp.__file__).parent
SEAM = {"wire.py", "executor.py", "shared.py"}
"""Who makes clients, who gets the executor's own token, and who tells which projects may share both."""
SAYS = {"settings.py", "inventory.py", "discover/__init__.py"}
"""Who reads the key of the inventory, and who prints it in the plan."""


def test_only_the_seam_asks_for_another_endpoint_than_the_real_one() -> None:
    """An action that did could behave otherwise where it matters."""
    asking = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if not _of_sandbox(path)
        and ('"endpoints"' in (code := path.read_text("utf-8")) or "endpoint_of" in code)
    }

    assert asking <= SEAM | SAYS
    assert asking >= SEAM


def _of_sandbox(path: Path) -> bool:
    """Return whether it is the sandbox itself, or the drill that starts one."""
    inside = path.relative_to(SOURCE).as_posix()
    return inside.startswith(("sandbox/", "drill"))
