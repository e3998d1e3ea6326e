"""Reads ``agents/<name>.yaml``: what one agent is, where it acts, and what it can do elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject
from breakglass.errors import BreakglassError
from breakglass.kit.complaints import Complaints, quoted
from breakglass.kit.entries import read_entry
from breakglass.kit.fields import Field, Kind, Values, read_table
from breakglass.kit.model import AgentFile, Deployer, Effect, Tool
from breakglass.kit.nodes import Entry, Items, Node, Scalar, Table
from breakglass.kit.settings import SHORT_NAME, SHORT_NAME_MEANING
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Card
from breakglass.runbook.loader import NAME, NAME_MEANING

Cards = Callable[[str], Card | None]

AGENT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
"""Also a file name, a tag and a label value of every platform."""
DEPLOYERS = {
    "argocd": ("namespace",),
    "flux": ("namespace",),
    "github-actions": ("repository",),
    "gitlab-ci": ("project",),
    "unit": (),
    "cron": (),
    "codepipeline": (),
    "cloudformation": (),
    "codedeploy": (),
}
"""The kinds of deployers, and the keys that each needs beside its name."""
_AGENT = (
    Field("agent", required=True, pattern=AGENT_NAME, meaning="a name of letters, digits, dots and hyphens"),
    Field("owner", required=True),
    Field("class", pattern=SHORT_NAME, meaning=SHORT_NAME_MEANING),
    Field("who_can_stop", Kind.PROSE, required=True),
    Field("runbook", pattern=NAME, meaning=NAME_MEANING),
    Field("reach", Kind.TABLES, required=True),
    Field("deployers", Kind.TABLES),
    Field("tools", Kind.TABLES),
)
_TOOL = (
    Field("name", required=True),
    Field("effect", required=True, one_of=tuple(Effect)),
    Field("credential"),
    Field("issuer"),
    Field("revoke_at"),
    Field("owner"),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the names in an agent's file may point at."""

    cards: Cards
    runbooks: tuple[str, ...]
    default_runbook: str
    absent_ok: bool
    """Keep a reach whose provider is not installed here, unchecked: the plan names it as not planned."""


def read_agent(node: Node, stem: str, around: Surroundings, complaints: Complaints) -> AgentFile:
    """Read one agent, noting what is wrong; `stem` is the file's name without its ending."""
    values = read_table(node, _AGENT, "an agent", complaints)
    name = values.text("agent")
    if name and name != stem:
        complaints.add(values.at("agent"), f"agent: {quoted(name)} stands in {stem}.yaml; name both alike")
    runbook = values.text("runbook")
    if runbook and runbook not in around.runbooks:
        complaints.add_unknown(values.at("runbook"), "runbook", runbook, around.runbooks, "runbooks")
    if values.has("reach") and not values.tables("reach"):
        complaints.add(values.at("reach"), "reach: an agent that acts nowhere cannot be stopped anywhere")
    owner = values.text("owner")
    return AgentFile(
        ref=AgentRef(name, owner, values.text("class") or None),
        who_can_stop=values.text("who_can_stop"),
        reaches=_reaches(values.tables("reach"), around, complaints),
        tools=_tools(values, owner, complaints),
        deployers=_deployers(values, complaints),
        runbook=runbook or around.default_runbook,
    )


def _reaches(tables: Sequence[Table], around: Surroundings, complaints: Complaints) -> tuple[Reach, ...]:
    found: list[Reach] = []
    for table in tables:
        reach = _reach(table, around, complaints)
        if reach is None:
            continue
        for other in found:
            if (other.provider, other.settings) == (reach.provider, reach.settings):
                complaints.add(table.mark, f"the same reach stands at {other.where} too")
        found.append(reach)
    return tuple(found)


def _reach(table: Table, around: Surroundings, complaints: Complaints) -> Reach | None:
    entry = next((entry for entry in table.entries if entry.key == "provider"), None)
    if entry is None or not isinstance(entry.value, Scalar) or not isinstance(entry.value.value, str):
        complaints.add(
            entry.value.mark if entry else table.mark, 'a reach names its provider: "provider: host"'
        )
        return None
    name = entry.value.value
    rest = Table(tuple(other for other in table.entries if other is not entry), table.mark)
    try:
        card = around.cards(name)
    except BreakglassError as error:
        if not around.absent_ok:
            complaints.add(entry.value.mark, f"provider: {error.what}", error.remedy)
        card = None
    else:
        if card is None and not around.absent_ok:
            complaints.add(
                entry.value.mark, f"provider: {quoted(name)} is not installed", "breakglass providers list"
            )
    if card is None:
        return Reach(name, _unchecked(rest), str(table.mark)) if around.absent_ok else None
    return _checked(rest, card, complaints)


def _checked(table: Table, card: Card, complaints: Complaints) -> Reach | None:
    before = len(complaints)
    settings = read_entry(table, card.settings, f"a reach of provider {card.name}", complaints)
    reach = Reach(card.name, settings, str(table.mark))
    if len(complaints) == before:  # the card's own rules see an entry of the right shape only
        marks = {entry.key: entry.value.mark for entry in table.entries}
        for complaint in card.check(reach):
            # "selector: ..." is about that key; what names none is about the whole reach.
            mark = marks.get(complaint.partition(":")[0], table.mark)
            complaints.add(mark, complaint, f"a reach of provider {card.name}")
    return reach if len(complaints) == before else None


def _unchecked(table: Table) -> JsonObject:
    def plain(node: Node) -> Json:
        if isinstance(node, Scalar):
            return node.value
        if isinstance(node, Items):
            return [plain(item) for item in node.items]
        return {entry.key: plain(entry.value) for entry in node.entries}

    return {entry.key: plain(entry.value) for entry in table.entries}


def _tools(values: Values, owner: str, complaints: Complaints) -> tuple[Tool, ...]:
    found: dict[str, Tool] = {}
    for table in values.tables("tools"):
        tool = read_table(table, _TOOL, "a tool", complaints)
        name = tool.text("name")
        if name and name in found:
            complaints.add(tool.at("name"), f"name: tool {quoted(name)} is listed twice")
        found[name] = Tool(
            name=name,
            effect=Effect(tool.text("effect", Effect.IRREVERSIBLE)),
            credential=tool.text("credential"),
            issuer=tool.text("issuer"),
            revoke_at=tool.text("revoke_at"),
            owner=tool.text("owner") or owner,
        )
    return tuple(found.values())


def _deployers(values: Values, complaints: Complaints) -> tuple[Deployer, ...]:
    found: list[Deployer] = []
    for table in values.tables("deployers"):
        kind = _deployer_kind(table)
        others = DEPLOYERS.get(kind, ())
        fields = (
            Field("kind", required=True, one_of=tuple(DEPLOYERS)),
            Field("name", required=True),
            *(Field(other, required=True) for other in others),
        )
        if kind in DEPLOYERS or not any(entry.key == "kind" for entry in table.entries):
            what = f"a deployer of kind {kind}" if kind else "a deployer"
            entry = read_table(table, fields, what, complaints)
        else:  # the kind decides what else is known: complain about it alone
            only = Table(tuple(e for e in table.entries if e.key == "kind"), table.mark)
            entry = read_table(only, fields[:1], "a deployer", complaints)
        found.append(Deployer(kind, entry.text("name"), {other: entry.text(other) for other in others}))
    return tuple(found)


def _deployer_kind(table: Table) -> str:
    entry: Entry | None = next((entry for entry in table.entries if entry.key == "kind"), None)
    return (
        entry.value.value
        if entry and isinstance(entry.value, Scalar) and isinstance(entry.value.value, str)
        else ""
    )
