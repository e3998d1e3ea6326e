"""Generates signed documents for property tests: any plan and any roster that their own rules admit."""

from __future__ import annotations

from hypothesis import strategies as st

from breakglass.canon import MAX_INTEGER, Json
from breakglass.clock import Instant
from breakglass.model.action import Capability, Grade, Reversibility, Verdict
from breakglass.model.plan import (
    Activation,
    Detection,
    Door,
    DoorKind,
    Mode,
    NotPlanned,
    NotTouched,
    Pin,
    Plan,
    PlannedReach,
    Step,
    TimeSource,
    TwoPersonRule,
    Verb,
    Wait,
)
from breakglass.model.resource import Resource
from breakglass.model.roster import (
    ExecutorKey,
    KeyStore,
    OperatorKey,
    Person,
    Role,
    Roster,
    Rule,
    RuleVerb,
)

READABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Co", "Cs", "Cn"))
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,20}", fullmatch=True)
lines = st.text(READABLE, max_size=30)
ids = st.from_regex(r"[\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?", fullmatch=True)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
counts = st.integers(0, MAX_INTEGER)
instants = st.builds(Instant, st.integers(0, 253_402_300_799_999))
settings = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.recursive(st.none() | st.booleans() | counts | lines, lambda inner: st.lists(inner, max_size=2)),
    max_size=3,
)
pins = st.builds(Pin, names, counts, digests)
public_keys = st.from_regex(r"ssh-ed25519 [A-Za-z0-9+/]{4,68}", fullmatch=True)


def few(item: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    """Generate short tuples."""
    return st.lists(item, max_size=2).map(tuple)


def indexes(below: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Generate references to what exists."""
    if not below:
        return st.just(())
    return st.lists(st.integers(0, below - 1), max_size=2).map(tuple)


@st.composite
def steps(draw: st.DrawFn, n: int, *, reaches: int, total: int) -> Step:
    """Generate step `n` of `total`; it waits only for steps before it."""
    return Step(
        n=n,
        reach=draw(st.integers(0, reaches - 1)),
        capability=draw(st.sampled_from(Capability)),
        action=draw(names),
        target=draw(st.builds(Resource, names, ids, lines, settings)),
        after=tuple(Wait(earlier, draw(counts)) for earlier in draw(indexes(n))),
        settle_ms=draw(counts),
        deadline_ms=draw(counts),
        best_grade=draw(st.sampled_from(Grade)),
        window_s=draw(st.none() | counts),
        moot_by=draw(indexes(total)),
        reversibility=draw(st.sampled_from(Reversibility)),
        undo=draw(lines),
        blast_radius=draw(lines),
        destroys_evidence=draw(lines),
        affects=tuple(draw(st.lists(lines, max_size=2))),
        withholds_only=draw(st.booleans()),
        observed=draw(digests),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Generate a plan whose numbers fit together."""
    reaches = draw(st.integers(1, 2))
    total = draw(st.integers(0, 3))
    return Plan(
        v=1,
        type="plan",
        org=draw(names),
        plan_id=draw(names),
        incident=draw(names),
        agent=draw(names),
        verb=draw(st.sampled_from(Verb)),
        mode=draw(st.sampled_from(Mode)),
        activation=draw(st.sampled_from(Activation)),
        drill=draw(st.booleans()),
        reason=draw(lines),
        requested_by=draw(lines),
        issued_at=draw(instants),
        detection=draw(
            st.none()
            | st.builds(
                Detection, st.none() | instants, st.none() | instants, st.sampled_from(TimeSource), lines
            )
        ),
        runbook=draw(pins),
        kit=draw(pins),
        roster=draw(pins),
        executors=tuple(draw(st.lists(names, max_size=2))),
        two_person_rule=draw(st.sampled_from(TwoPersonRule)),
        nonce=draw(st.from_regex(r"[A-Za-z0-9+/]{22}==", fullmatch=True)),
        not_before=draw(instants),
        expires=draw(instants),
        max_run_s=draw(st.integers(1, 86_400)),
        parent=draw(st.none() | digests),
        observations_sha256=draw(digests),
        reaches=tuple(
            PlannedReach(
                n,
                draw(names),
                draw(lines),
                draw(lines),
                tuple(draw(st.lists(lines, max_size=2))),
                draw(settings),
                draw(st.just("") | digests),
            )
            for n in range(reaches)
        ),
        steps=tuple(draw(steps(n, reaches=reaches, total=total)) for n in range(total)),
        doors=tuple(
            Door(
                kind=draw(st.sampled_from(DoorKind)),
                name=draw(lines),
                reason=draw(lines),
                remedy=draw(lines),
                owner=draw(lines),
                closed_by=draw(indexes(total)),
                verdict=draw(st.sampled_from(Verdict)),
            )
            for _ in range(draw(st.integers(0, 2)))
        ),
        not_touched=tuple(draw(st.lists(st.builds(NotTouched, lines, lines), max_size=2))),
        not_planned=tuple(draw(st.lists(st.builds(NotPlanned, names, lines, lines), max_size=2))),
    )


keys = st.builds(OperatorKey, public_keys, st.sampled_from(KeyStore), instants)
people = st.builds(
    Person,
    names,
    st.lists(st.sampled_from(Role), max_size=2).map(tuple),
    st.lists(keys, max_size=2).map(tuple),
)
rules = st.builds(
    Rule,
    verb=st.sampled_from(RuleVerb),
    people=st.integers(2, 20),
    roles=st.lists(st.sampled_from(Role), max_size=2).map(tuple),
    hardware=st.integers(0, 20),
    user_verification=st.booleans(),
    max_ttl_s=st.integers(1, 7_776_000),
    standing_max_ttl_s=st.integers(0, 7_776_000),
)
rosters = st.builds(
    Roster,
    v=st.just(1),
    type=st.just("roster"),
    org=names,
    drill=st.booleans(),
    version=st.integers(1, 1000),
    issued=instants,
    expires=instants,
    previous=st.none() | digests,
    operators=st.lists(people, max_size=3).map(tuple),
    executors=st.lists(st.builds(ExecutorKey, names, public_keys), max_size=2).map(tuple),
    rules=st.lists(rules, max_size=2).map(tuple),
    revoked_keys=st.lists(lines, max_size=2).map(tuple),
)


def paths(document: Json, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every value inside a document."""
    found = [at] if at else []
    if isinstance(document, dict):
        for key, inner in document.items():
            found += paths(inner, (*at, key))
    elif isinstance(document, list):
        for n, inner in enumerate(document):
            found += paths(inner, (*at, n))
    return found
