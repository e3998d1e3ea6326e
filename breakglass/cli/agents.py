"""breakglass agents: the inventory of the kit, and what is really there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import agents

if TYPE_CHECKING:
    from breakglass.kit.model import AgentFile
    from breakglass.report.typeset import Row
    from breakglass.usecases.inspect import Looked

app = typer.Typer(
    name="agents",
    help="The agents of the kit, and where they act.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the agents of the kit."""
    from breakglass.cli.kits import kit_of
    from breakglass.cli.session import session, show_json, show_rows
    from breakglass.report.typeset import plural, table

    here = session()
    agents = kit_of(here).agents
    if json:
        show_json(here.out, [_document(agents[name]) for name in sorted(agents)])
        return
    lines = []
    for name in sorted(agents):
        agent = agents[name]
        providers = ", ".join(sorted({reach.provider for reach in agent.reaches}))
        about = f"{plural(len(agent.reaches), 'reach', 'reaches')} ({providers}), "
        about += plural(len(agent.tools), "tool")
        lines.append((name, agent.ref.owner, about))
    show_rows(here.out, table(lines), nothing="the kit names no agent")


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(help="One agent; without it all of them.", autocompletion=agents)
    ] = "",
    *,
    json: Json = False,
) -> None:
    """Check the entries of the inventory and whether every provider that they name can be used."""
    from breakglass import registry
    from breakglass.cli.kits import kit_of
    from breakglass.cli.session import leave, session, show_json
    from breakglass.errors import EXIT_UNREACHABLE, BreakglassError
    from breakglass.report.typeset import Tone, rows

    here = session()
    kit = kit_of(here)
    answers: list[dict[str, str]] = []
    for agent in (kit.agent(name),) if name else kit.agents.values():
        for reach in agent.reaches:
            problem = ""
            try:
                registry.require(registry.card(reach.provider))
            except BreakglassError as error:
                problem = f"{error.what}; {error.remedy}" if error.remedy else error.what
            answers.append({"agent": agent.ref.name, "reach": reach.where, "problem": problem})
    if json:
        show_json(here.out, answers)
    for answer in [] if json else answers:
        text = f"{answer['agent']}: {answer['reach']}: {answer['problem'] or 'ok'}"
        here.out.show(rows(text, rest="  ", tone=Tone.BAD if answer["problem"] else Tone.GOOD))
    leave(EXIT_UNREACHABLE if any(answer["problem"] for answer in answers) else 0)


@app.command()
def discover(
    name: Annotated[str, typer.Argument(help="The agent, as the kit names it.", autocompletion=agents)],
    *,
    json: Json = False,
) -> None:
    """Look at what is really there; changes nothing."""
    from breakglass.cli.kits import site_of
    from breakglass.cli.session import leave, session, show_json
    from breakglass.errors import EXIT_UNKNOWN, EXIT_UNREACHABLE
    from breakglass.usecases.inspect import discover as look

    here = session()
    found = look(site_of(here, drill_wanted=True), name)
    if json:
        show_json(here.out, [_looked_document(item) for item in found])
    else:
        for item in found:
            here.out.show(_looked_rows(item))
    failed = sum(bool(item.problem) for item in found)
    partial = any(item.discovery is not None and item.discovery.incomplete for item in found)
    if failed and failed == len(found):
        leave(EXIT_UNREACHABLE)
    leave(EXIT_UNKNOWN if failed or partial else 0)


def _looked_document(item: Looked) -> dict[str, object]:
    from breakglass.shape import encode

    seen = item.discovery
    return {
        "provider": item.reach.provider,
        "where": item.reach.where,
        "problem": item.problem,
        "scope": seen.scope if seen else None,
        "principals": encode(seen.principals) if seen else [],
        "proposals": [
            {"action": one.action, "target": encode(one.target)} for one in (seen.proposals if seen else ())
        ],
        "doors": [encode(one.door) for one in (seen.doors if seen else ())],
        "not_touched": encode(seen.not_touched) if seen else [],
        "incomplete": encode(seen.incomplete) if seen else [],
    }


def _looked_rows(item: Looked) -> list[Row]:
    from breakglass.report.typeset import Row, Tone, labelled, rows

    seen = item.discovery
    if seen is None:
        text = f"{item.reach.provider} ({item.reach.where}): COULD NOT BE READ: {item.problem}"
        return list(rows(text, rest="  ", tone=Tone.BAD))
    found = list(rows(f"{seen.scope} ({item.reach.provider})", tone=Tone.HEAD))
    lines = [("is", f"{one.kind} {one.id} ({one.label})") for one in seen.principals]
    lines += [("step", f"{one.action} {one.target.label}") for one in seen.proposals]
    lines += [("OPEN", f"{one.door.name}: {one.door.reason}") for one in seen.doors]
    lines += [("not touched", f"{one.resource}: {one.reason}") for one in seen.not_touched]
    lines += [("INCOMPLETE", reason) for reason in seen.incomplete]
    for label, text in lines:
        found += labelled(label, text, column=13)
    return [*found, Row()]


def _document(agent: AgentFile) -> dict[str, object]:
    from breakglass.shape import encode

    return {
        "agent": agent.ref.name,
        "owner": agent.ref.owner,
        "class": agent.ref.agent_class,
        "who_can_stop": agent.who_can_stop,
        "runbook": agent.runbook,
        "reaches": [
            {"provider": reach.provider, "where": reach.where, "settings": encode(reach.settings)}
            for reach in agent.reaches
        ],
        "tools": encode(agent.tools),
        "deployers": encode(agent.deployers),
    }
