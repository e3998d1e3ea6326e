"""breakglass providers: which providers are installed, what they can do, whether they can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import agents, providers

if TYPE_CHECKING:
    from breakglass.model.action import ActionSpec
    from breakglass.provider import Card
    from breakglass.report.typeset import Row

app = typer.Typer(
    name="providers",
    help="Which providers are installed, and what they can do.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the installed providers from package metadata; no provider's code is run."""
    from breakglass import registry
    from breakglass.cli.session import session, show_json, show_rows
    from breakglass.report.typeset import table

    here = session()
    found = registry.names()
    if json:
        keys = ("name", "distribution", "version", "problem")
        show_json(here.out, [{key: getattr(item, key) for key in keys} for item in found])
        return
    lines = [(item.name, item.pin, item.problem or "installed") for item in found]
    show_rows(here.out, table(lines), nothing="no provider is installed")


@app.command()
def show(  # noqa: PLR0913 - what each can be asked for
    name: Annotated[str, typer.Argument(help="The provider's name.", autocompletion=providers)],
    named: Annotated[
        str,
        typer.Argument(
            metavar="[AGENT]",
            help="With --rbac or --roles: as the kit names this agent.",
            autocompletion=agents,
        ),
    ] = "",
    *,
    json: Json = False,
    rbac: Annotated[
        bool, typer.Option("--rbac", help="Print the executor's least role, to stop and to restore.")
    ] = False,
    roles: Annotated[
        bool,
        typer.Option("--roles", help="Print the executor's least custom role, to stop and to restore."),
    ] = False,
    policy: Annotated[
        bool, typer.Option("--policy", help="Print the executor's least rights, as the platform's own JSON.")
    ] = False,
    purpose: Annotated[
        str,
        typer.Option(
            "--for", metavar="stop|restore", help="Rights to do what; without it, --policy means stop."
        ),
    ] = "",
    split: Annotated[
        bool, typer.Option("--split", help="With --policy: in pieces that fit the platform's limit.")
    ] = False,
    agent: Annotated[
        str,
        typer.Option(
            "--agent",
            metavar="NAME",
            help="With --policy: as the kit names this agent.",
            autocompletion=agents,
        ),
    ] = "",
) -> None:
    """Show what a provider can do, what it needs, and who says so; no SDK is loaded."""
    from breakglass import registry
    from breakglass.cli.provider_rights import show_policy, show_role
    from breakglass.cli.session import session, show_json
    from breakglass.errors import UsageError

    here = session()
    card = registry.card(name)
    if named and not (rbac or roles):
        raise UsageError(f"an agent ({named}) belongs to --rbac or --roles", remedy="add one of them")
    if not (policy or rbac or roles) and (purpose or split or agent):
        raise UsageError(
            "--for, --split and --agent belong to --policy, --rbac or --roles", remedy="add one of them"
        )
    if rbac or roles:
        show_role(here, card, purpose, named or agent, custom=roles)
        return
    if policy:
        show_policy(here, card, purpose, agent, split=split)
        return
    if json:
        show_json(here.out, _document(card))
        return
    here.out.show(_card_rows(card))


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(help="One provider; without it all of them.", autocompletion=providers)
    ] = "",
    *,
    json: Json = False,
) -> None:
    """Load each provider's card and look whether what it needs is installed."""
    from breakglass import registry
    from breakglass.cli.session import leave, session, show_json
    from breakglass.errors import EXIT_UNREACHABLE, BreakglassError
    from breakglass.report.typeset import Tone, rows

    here = session()
    answers: list[tuple[str, str]] = []
    wanted = (name,) if name else tuple(dict.fromkeys(item.name for item in registry.names()))
    for item in wanted:
        try:
            registry.require(registry.card(item))
            answers.append((item, ""))
        except BreakglassError as error:
            if name and error.exit_code != EXIT_UNREACHABLE:
                raise
            answers.append((item, f"{error.what}; {error.remedy}" if error.remedy else error.what))
    if json:
        show_json(here.out, [{"name": item, "ok": not why, "problem": why} for item, why in answers])
    else:
        found: list[Row] = []
        for item, why in answers:
            found += rows(f"{item}: {why or 'ok'}", rest="  ", tone=Tone.BAD if why else Tone.GOOD)
        here.out.show(found)
    leave(EXIT_UNREACHABLE if any(why for _, why in answers) else 0)


def _document(card: Card) -> dict[str, object]:
    from breakglass.shape import encode

    return {
        "name": card.name,
        "summary": card.summary,
        "capabilities": [capability.value for capability in card.capabilities],
        "requires": list(card.requires),
        "extra": card.extra,
        "settings": encode(card.settings),
        "actions": [
            {
                "name": spec.name,
                "capability": spec.capability.value,
                "summary": spec.summary,
                "permissions": list(spec.permissions),
                "undo_permissions": list(spec.undo_permissions or spec.permissions),
                "blast_radius": spec.blast_radius,
                "reversibility": spec.reversibility.value,
                "undo": spec.undo,
                "settle_s": spec.settle_s,
                "best_grade": spec.best_grade.value,
                "destroys_evidence": spec.destroys_evidence,
                "withholds_only": spec.withholds_only,
                "example": spec.example,
                "sources": encode(spec.sources),
            }
            for spec in card.specs
        ],
    }


def _card_rows(card: Card) -> list[Row]:
    from breakglass.report.typeset import Row, Tone, labelled, rows, table

    found = [*rows(f"{card.name}: {card.summary}", tone=Tone.HEAD)]
    names = ", ".join(capability.value.replace("_", " ") for capability in card.capabilities)
    found += labelled("can", names, indent=0)
    found += labelled("needs", ", ".join(card.requires) or "nothing beside Python", indent=0)
    found += [Row(), Row("a reach knows", Tone.HEAD)]
    found += table(
        [
            (setting.name, setting.type.value, f"{setting.summary}{' (required)' * setting.required}")
            for setting in card.settings
        ],
        indent=2,
    )
    for spec in card.specs:
        found += [Row(), *_spec_rows(spec)]
    return found


def _spec_rows(spec: ActionSpec) -> list[Row]:
    from breakglass.model.action import Authority
    from breakglass.report.typeset import Tone, labelled, rows, seconds

    found = [*rows(spec.name, tone=Tone.HEAD)]
    facts = [
        ("capability", spec.capability.value.replace("_", " ")),
        ("does", spec.summary),
        ("breaks", spec.blast_radius),
        ("undo", f"{spec.reversibility.value}: {spec.undo}"),
        ("proof", spec.best_grade.value.replace("_", " ")),
        ("settle", seconds(spec.settle_s)),
        ("permissions", ", ".join(spec.permissions)),
        ("to undo", ", ".join(spec.undo_permissions)),
        ("destroys", spec.destroys_evidence),
        ("example", spec.example),
    ]
    for label, text in facts:
        if text:
            found += labelled(label, text, column=14)
    for source in spec.sources:
        weak = source.authority is Authority.UNVERIFIED
        text = f"{source.claim}: {source.authority.value.replace('_', ' ')}, {source.reference}"
        found += labelled("source", text, column=14) if not weak else labelled("UNVERIFIED", text, column=14)
    return found
