"""Writes the files of docs/ that are made from the code: `python docs/generate.py`; --check only compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from breakglass.model.plan import Plan
from breakglass.model.roster import Roster
from breakglass.shape import describe

HERE = Path(__file__).parent


def schema(document: type, title: str) -> str:
    """Return the JSON Schema of a signed document as indented text."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": "Made from the code by `make docs`; the code refuses what this refuses.",
    }
    return json.dumps(head | dict(describe(document)), indent=2) + "\n"


def generated() -> dict[Path, str]:
    """Return every generated file with the text that it must have."""
    return {
        HERE / "plan.schema.json": schema(Plan, "breakglass plan, version 1"),
        HERE / "roster.schema.json": schema(Roster, "breakglass roster, version 1"),
    }


def main(arguments: list[str]) -> int:
    """Write or compare; 1 when a file differs from the code."""
    stale = [
        path
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is not what the code says; run: make docs", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(generated()[path], encoding="utf-8")
        print(f"wrote docs/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
