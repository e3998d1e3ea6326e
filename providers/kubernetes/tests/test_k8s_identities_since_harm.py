"""Bindings that were made or changed since the harm began: what a plan says, what a restore gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from breakglass.clock import Instant
from breakglass.provider import Outcome, Proposal
from breakglass_kubernetes.actions import bindings, group_bindings
from breakglass_kubernetes.actions.peacetime import MOST_NAMED, look
from breakglass_kubernetes.cluster import APPLY, JSON_PATCH
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, SERVICE_ACCOUNTS, Kind
from breakglass_kubernetes.objects import text
from providers.kubernetes.tests.rig_k8s import Rig, close, peace_ends, proposal, undo

ACCOUNTS, GROUPS = bindings.SPEC.name, group_bindings.SPEC.name
RBAC = "rbac.authorization.k8s.io"
STRANGER = {"kind": "User", "name": "stranger", "apiGroup": RBAC}
SINCE = Instant.parse("2026-01-31T03:12:08.500Z")
MADE = "made since the harm began"
CHANGED = "changed since the harm began by "


def bot(rig: Rig) -> dict[str, str]:
    """Return the agent's account as a subject."""
    return {"kind": "ServiceAccount", "name": "bot", "namespace": rig.namespace}


def bind(rig: Rig, name: str, *subjects: Mapping[str, str], kind: Kind = ROLE_BINDINGS) -> None:
    """Bind subjects to a ClusterRole."""
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    rig.make(kind, name, {"roleRef": ref, "subjects": list(subjects)})


def write(rig: Rig, name: str, body: object, *, by: str, how: str = JSON_PATCH) -> None:
    """Change a binding under the name of a field manager."""
    path = ROLE_BINDINGS.path(rig.namespace, name)
    rig.plane.call("PATCH", path, body, content_type=how, query={"fieldManager": by})


def planned(
    rig: Rig, since: Instant | None, action: str = ACCOUNTS, *, is_own: bool = False
) -> tuple[KubernetesProvider, Proposal]:
    """Plan a stop of an agent whose harm began then; return a step of it."""
    if is_own:
        provider = rig.provider(namespace=rig.namespace, own_namespace=True)
    else:
        provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    provider.cluster.connection = replace(provider.cluster.connection, since=since)
    return provider, proposal(provider, action)


def key(rig: Rig, name: str) -> str:
    """Return how a step names a RoleBinding."""
    return ROLE_BINDINGS.key(rig.namespace, name)


def subjects(rig: Rig, name: str, kind: Kind = ROLE_BINDINGS) -> list[Any]:
    """Return who is bound."""
    found: list[Any] = rig.get(kind, name).get("subjects", [])
    return found


def test_no_restore_binds_the_agent_by_a_binding_that_was_made_since_the_harm_began(rig: Rig) -> None:
    """Its other subjects stay; the plan says so before anyone signs, and the restore when it is done."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    wide = f"wide-{rig.namespace}"
    bind(rig, "old", STRANGER, bot(rig))
    since = peace_ends()
    bind(rig, "new", bot(rig))
    bind(rig, wide, STRANGER, bot(rig), kind=CLUSTER_ROLE_BINDINGS)
    provider, step = planned(rig, since)
    action = provider.actions[ACCOUNTS]

    prior, _ = close(action, step.target)
    reversal = undo(action, step.target, prior)

    made = [one for one in step.affects if MADE in one]
    assert [CLUSTER_ROLE_BINDINGS.key("", wide), key(rig, "new")] == [one.partition(": ")[0] for one in made]
    assert all(one.endswith("a restore does not bind the agent by it again") for one in made)
    assert step.target.label.endswith(f"; 2 {MADE}: not bound again")
    assert {key(rig, "old"): Outcome.RESTORED} == {
        one: outcome for one, outcome in reversal.objects.items() if outcome is not Outcome.ENDED
    }
    assert [STRANGER, bot(rig)] == subjects(rig, "old")
    assert ([], [STRANGER]) == (subjects(rig, "new"), subjects(rig, wide, CLUSTER_ROLE_BINDINGS))
    assert f"{MADE}, so not bound again: " in reversal.reason
    assert "bound after the plan" not in reversal.reason
    assert "breakglass" not in str(rig.get(ROLE_BINDINGS, "new")["metadata"]["managedFields"])
    rig.plane.call("DELETE", CLUSTER_ROLE_BINDINGS.path("", wide))


def test_what_was_made_since_the_harm_and_what_was_bound_after_the_plan_are_told_apart(rig: Rig) -> None:
    """Both stay away: the one was there when people signed, the other was not."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    bind(rig, "old", bot(rig))
    since = peace_ends()
    bind(rig, "new", bot(rig))
    provider, step = planned(rig, since)
    action = provider.actions[ACCOUNTS]
    bind(rig, "later", bot(rig))

    prior, _ = close(action, step.target)
    said = undo(action, step.target, prior).reason

    assert f"{MADE}, so not bound again: {key(rig, 'new')}; bound after the plan was made" in said
    assert said.endswith(f"so not bound again: {key(rig, 'later')}")
    assert ([bot(rig)], [], []) == tuple(subjects(rig, one) for one in ("old", "new", "later"))


def test_an_agents_binding_that_somebody_took_away_after_the_stop_is_no_drift(rig: Rig) -> None:
    """There was nothing to put back by it; a binding of peacetime that is gone is still said."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    bind(rig, "old", bot(rig))
    since = peace_ends()
    bind(rig, "new", bot(rig))
    provider, step = planned(rig, since)
    action = provider.actions[ACCOUNTS]
    prior, _ = close(action, step.target)
    for name in ("old", "new"):
        rig.plane.call("DELETE", ROLE_BINDINGS.path(rig.namespace, name))

    reversal = undo(action, step.target, prior)

    assert {key(rig, "old"): Outcome.DRIFTED, key(rig, "new"): Outcome.ENDED} == reversal.objects


def test_an_older_binding_whose_subjects_somebody_wrote_since_comes_back_and_is_named(rig: Rig) -> None:
    """By the field manager; one that nobody touched since is not mentioned, one without a record is."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    for name in ("calm", "wider", "noted", "wiped"):
        bind(rig, name, STRANGER)
    for name in ("calm", "noted", "wiped"):
        write(rig, name, [{"op": "add", "path": "/subjects/-", "value": bot(rig)}], by="helm")
    since = peace_ends()
    write(rig, "wider", [{"op": "add", "path": "/subjects/-", "value": bot(rig)}], by="rogue")
    note = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"annotations": {"a": "b"}}}
    write(rig, "noted", note, by="clerk", how=APPLY)
    write(rig, "wiped", [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}], by="rogue")
    provider, step = planned(rig, since)
    action = provider.actions[ACCOUNTS]

    prior, _ = close(action, step.target)
    reversal = undo(action, step.target, prior)

    told = "who was added then cannot be told, and all come back with a restore"
    assert f"{key(rig, 'wider')}: {CHANGED}rogue: {told}" in step.affects
    assert [key(rig, "wider"), key(rig, "wiped")] == sorted(one.partition(": ")[0] for one in step.affects)
    assert {Outcome.RESTORED} == set(reversal.objects.values())
    for name in ("calm", "wider", "noted", "wiped"):
        assert [STRANGER, bot(rig)] == subjects(rig, name)


def test_the_group_of_the_agents_namespace_is_not_bound_again_either(rig: Rig) -> None:
    """The step that takes the group out has the same rule as the one of the accounts."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    group = {"kind": "Group", "name": f"system:serviceaccounts:{rig.namespace}", "apiGroup": RBAC}
    bind(rig, "old", group)
    since = peace_ends()
    bind(rig, "new", group)
    provider, step = planned(rig, since, GROUPS, is_own=True)
    action = provider.actions[GROUPS]

    prior, _ = close(action, step.target)
    said = undo(action, step.target, prior).reason

    assert [key(rig, "new")] == [one.partition(": ")[0] for one in step.affects if MADE in one]
    assert ([group], []) == (subjects(rig, "old"), subjects(rig, "new"))
    assert f"{MADE}, so not bound again: {key(rig, 'new')}" in said


def test_where_nobody_says_when_the_harm_began_all_that_was_bound_comes_back(rig: Rig) -> None:
    """Nothing is claimed of bindings then."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    bind(rig, "any", bot(rig))
    provider, step = planned(rig, None)
    action = provider.actions[ACCOUNTS]

    prior, _ = close(action, step.target)
    reversal = undo(action, step.target, prior)

    assert () == step.affects
    assert {key(rig, "any"): Outcome.RESTORED} == reversal.objects
    assert [bot(rig)] == subjects(rig, "any")


@pytest.mark.parametrize(
    ("born", "is_peacetime"),
    [
        ("2026-01-31T03:12:07Z", True),
        ("2026-01-31T03:12:08Z", False),  # the same second: the server does not say on which side of it
        ("2026-01-31T03:12:09Z", False),
        ("", False),
        ("yesterday", False),
    ],
)
def test_a_binding_counts_as_peacetime_only_before_the_second_in_which_the_harm_began(
    born: str, *, is_peacetime: bool
) -> None:
    """The server rounds down; a time that cannot be read is no time of peace."""
    found = look([(ROLE_BINDINGS, body("b", born))], names_agent, SINCE)

    assert is_peacetime is (found.bound != ())
    assert is_peacetime is (found.made == ())


def test_of_many_bindings_a_few_are_named_and_the_others_counted() -> None:
    """An agent that makes ten thousand of them does not make a plan that nobody reads."""
    old, new = "2026-01-31T03:00:00Z", "2026-01-31T04:00:00Z"
    many = [(ROLE_BINDINGS, body(f"n-{n:03}", new)) for n in range(120)]
    many += [(ROLE_BINDINGS, body(f"o-{n:03}", old, *(f"m-{m:03}" for m in range(50)))) for n in range(130)]

    found = look(many, names_agent, SINCE)

    said = [one for one in found.affects if MADE in one]
    other = [one for one in found.affects if CHANGED in one]
    assert (120, 130) == (len(found.made), len(found.bound))
    assert (MOST_NAMED + 1, MOST_NAMED + 1) == (len(said), len(other) + 1)
    assert f"{120 - MOST_NAMED} more" in said[-1]
    assert f"{130 - MOST_NAMED} more" in found.affects[-1]
    assert "m-000, m-001, m-002, m-003, m-004 and 45 more" in other[0]
    assert max(map(len, found.affects)) < 1000


def names_agent(subject: Mapping[str, Any], _namespace: str) -> bool:
    """Return whether a subject is the agent."""
    return text(subject, "name") == "bot"


def body(name: str, born: str, *managers: str) -> dict[str, Any]:
    """Return a binding of the agent's as the server gives it, with managers that wrote when harm was done."""
    entry = {"time": "2026-01-31T03:30:00Z", "fieldsV1": {"f:subjects": {}}}
    about = {"name": name, "namespace": "n", "uid": name, "creationTimestamp": born}
    about |= {"managedFields": [{"manager": one, **entry} for one in managers or ("helm",)]}  # type: ignore[dict-item]
    return {"metadata": about, "subjects": [{"kind": "User", "name": "bot"}]}
