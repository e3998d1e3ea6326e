"""Writes the files of docs/ that are made from the code: `python docs/generate.py`; --check only compares."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from breakglass import registry
from breakglass.model.action import ActionSpec
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


def actions() -> str:
    """Return the table of all actions, provider by provider, from what each declares."""
    parts = [
        "# Every action",
        "",
        "Made from the code by `make docs`. `breakglass providers show NAME` prints it with every source.",
        "A claim whose source is *unverified* has been shown by nobody on the real platform yet.",
    ]
    for name in sorted({item.name for item in registry.names()}):
        card = registry.card(name)
        parts += ["", f"## {card.name}", "", f"{card.summary}.", ""]
        head = ("action", "does", "calls", "undo", "in effect after", "breaks", "strongest proof", "says who")
        parts += [row(head), row(["---"] * len(head))]
        parts += [row(cells(spec)) for spec in card.specs]
    return "\n".join(parts) + "\n"


def cells(spec: ActionSpec) -> list[str]:
    """Return the cells of one action."""
    calls = ", ".join(spec.permissions)
    if spec.undo_permissions:
        calls += f"; to undo: {', '.join(spec.undo_permissions)}"
    undo = f"{spec.reversibility.value}: {spec.undo}"
    if spec.destroys_evidence:
        undo += f"; destroys {spec.destroys_evidence}"
    sources = dict.fromkeys(source.authority.value.replace("_", " ") for source in spec.sources)
    return [
        f"`{spec.name}` ({spec.capability.value.replace('_', ' ')})",
        spec.summary,
        calls,
        undo,
        f"{spec.settle_s:g} s",
        spec.blast_radius,
        spec.best_grade.value.replace("_", " "),
        ", ".join(sources),
    ]


def row(texts: Sequence[str]) -> str:
    """Return one row of a table; a bar would end a cell."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def generated() -> dict[Path, str]:
    """Return every generated file with the text that it must have."""
    return {
        HERE / "actions.md": actions(),
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
