"""Applies one action to a signed target and is killed in the middle: ``dying_a.py FOLDER ACTION``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from breakglass.model.resource import Resource
from providers.host.tests.rig_a import connect


def main() -> None:
    """Say that it starts, then do it."""
    folder, action_name = Path(sys.argv[1]), sys.argv[2]
    request = json.loads((folder / "request.json").read_text())
    provider, _ = connect(folder, request["settings"])
    action, target = provider.actions[action_name], Resource(**request["target"])
    before = action.observe(target)
    sys.stdout.write("now\n")
    sys.stdout.flush()
    action.apply(target, before, "token")


if __name__ == "__main__":
    main()
