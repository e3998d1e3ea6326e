"""Turns the YAML of one runbook into values."""

from __future__ import annotations

from breakglass.errors import MalformedInput
from breakglass.kit.complaints import Complaints, quoted
from breakglass.kit.fields import Field, Kind, Values, read_table
from breakglass.kit.nodes import Mark, Table, parse_yaml
from breakglass.model.action import Capability
from breakglass.runbook.model import Playbook, Runbook, RunbookStep

NAME = r"[a-z0-9][a-z0-9-]{0,62}"
NAME_MEANING = "a name of small letters, digits and hyphens"
MAX_DEADLINE_S = 3600
_RUNBOOK = (
    Field("v", Kind.NUMBER, required=True, lowest=1, highest=1),
    Field("runbook", required=True, pattern=NAME, meaning=NAME_MEANING),
    Field("version", Kind.NUMBER, required=True, lowest=1),
    Field("title", required=True),
    Field("steps", Kind.TABLES, required=True),
    Field("playbook", Kind.TABLE, required=True),
)
_STEP = (
    Field("capability", required=True, one_of=tuple(Capability)),
    Field("deadline_s", Kind.NUMBER, required=True, lowest=1, highest=MAX_DEADLINE_S),
    Field("probe", Kind.FLAG),
)
_PLAYBOOK = (
    Field("what_happened", Kind.PROSE, required=True),
    Field("look_at", Kind.PROSES, required=True),
    Field("impact", Kind.PROSES, required=True),
    Field("next_steps", Kind.PROSES, required=True),
    Field("tell", Kind.PROSES, required=True),
)


def read_runbook(data: bytes, *, file: str, stem: str, complaints: Complaints) -> Runbook | None:
    """Read one runbook, noting what is wrong; None where something was. `stem` is the file's name."""
    before = len(complaints)
    try:
        node = parse_yaml(data, file=file)
    except MalformedInput as error:
        complaints.add_error(error, file)
        return None
    values = read_table(node, _RUNBOOK, "a runbook", complaints)
    if values.has("runbook") and values.text("runbook") != stem:
        complaints.add(
            values.at("runbook"),
            f"runbook: {quoted(values.text('runbook'))} stands in {stem}.yaml; name both alike",
        )
    steps = _steps(values, complaints)
    playbook = _playbook(values.table("playbook"), complaints) if values.has("playbook") else None
    if len(complaints) > before or playbook is None:
        return None
    return Runbook(values.text("runbook"), values.number("version"), values.text("title"), steps, playbook)


def _steps(values: Values, complaints: Complaints) -> tuple[RunbookStep, ...]:
    seen: dict[str, Mark] = {}
    steps: list[RunbookStep] = []
    for table in values.tables("steps"):
        step = read_table(table, _STEP, "a step of a runbook", complaints)
        if not step.has("capability") or not step.has("deadline_s"):
            continue
        name = step.text("capability")
        if (first := seen.get(name)) is not None:
            complaints.add(step.at("capability"), f'capability: "{name}" stands on line {first.line} too')
        seen[name] = step.at("capability")
        steps.append(RunbookStep(Capability(name), step.number("deadline_s"), step.flag("probe")))
    if values.has("steps") and not values.tables("steps"):
        complaints.add(values.at("steps"), "steps: a runbook that runs nothing stops nothing")
    return tuple(steps)


def _playbook(table: Table, complaints: Complaints) -> Playbook:
    values = read_table(table, _PLAYBOOK, "the playbook of a runbook", complaints)
    return Playbook(
        what_happened=values.text("what_happened"),
        look_at=values.texts("look_at"),
        impact=values.texts("impact"),
        next_steps=values.texts("next_steps"),
        tell=values.texts("tell"),
    )
