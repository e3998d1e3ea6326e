"""The evaluation logic, row by row (IAM User Guide "Policy evaluation logic"; "SCP evaluation")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass_aws.sandbox.evaluator import Inputs, Policy, PolicyError, Principal, Request, decide, parse

HERE, THERE = "123456789012", "210987654321"
QUEUE = f"arn:aws:sqs:eu-west-1:{HERE}:work"
ROLE = f"arn:aws:iam::{HERE}:role/worker"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/worker/one"
USER = f"arn:aws:iam::{HERE}:user/ada"
ONE = Principal("role", SESSION, HERE, issuer=ROLE, userid="AROA1:one")
ADA = Principal("user", USER, HERE, userid="AIDA1")
FEDERATED = Principal("federated", f"arn:aws:sts::{HERE}:federated-user/fred", HERE, issuer=USER)


def policy(effect: str, action: str = "*", resource: str = "*", **more: Any) -> Policy:  # noqa: ANN401 - JSON
    """Return a policy of one statement."""
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return parse({"Version": "2012-10-17", "Statement": statement}, f"{effect}-{action}")


def at_queue(effect: str, who: str | Mapping[str, str]) -> Policy:
    """Return a policy of the queue."""
    return policy(effect, Principal=who)


def ask(who: Principal, inputs: Inputs, *, owner: str = HERE) -> str:
    """Return the decision's kind and source for sending to the queue."""
    found = decide(Request(who, "sqs:SendMessage", QUEUE, owner), inputs)
    return f"{found.kind} {found.source}"


YES, NO = (policy("Allow"),), (policy("Deny"),)
OTHER = (policy("Allow", "sns:*"),)
ACCOUNT_ROOT = {"AWS": f"arn:aws:iam::{HERE}:root"}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        # "By default, all requests are implicitly denied"
        (Inputs(), "implicit_deny identity"),
        (Inputs(identity=YES), "allowed identity"),
        # "An explicit deny in any of these policies overrides the allow"
        (Inputs(identity=(*YES, *NO)), "explicit_deny identity"),
        (Inputs(identity=YES, boundary=NO), "explicit_deny boundary"),
        (Inputs(identity=YES, session=NO), "explicit_deny session"),
        (Inputs(identity=YES, scps=((*YES, *NO),)), "explicit_deny scp"),
        (Inputs(identity=YES, resource=(at_queue("Deny", "*"),)), "explicit_deny resource"),
        # "Permissions boundaries": the intersection; none is not an empty one
        (Inputs(identity=YES, boundary=OTHER), "implicit_deny boundary"),
        (Inputs(identity=YES, boundary=()), "implicit_deny boundary"),
        (Inputs(identity=YES, boundary=YES), "allowed identity"),
        (Inputs(boundary=YES), "implicit_deny identity"),
        # "Session policies"
        (Inputs(identity=YES, session=OTHER), "implicit_deny session"),
        (Inputs(identity=YES, session=()), "implicit_deny session"),
        # "SCP evaluation": "an explicit Allow at every level from the root ... to the account"
        (Inputs(identity=YES, scps=(YES, YES, YES)), "allowed identity"),
        (Inputs(identity=YES, scps=(YES, OTHER, YES)), "implicit_deny scp"),
        (Inputs(identity=YES, scps=(YES, YES, ())), "implicit_deny scp"),
        (Inputs(scps=(YES,)), "implicit_deny identity"),
        # "Resource control policies"
        (Inputs(identity=YES, rcps=((at_queue("Deny", "*"),),)), "explicit_deny rcp"),
        (Inputs(identity=YES, rcps=((at_queue("Allow", "*"),), ())), "implicit_deny rcp"),
    ],
)
def test_every_kind_of_policy_has_its_say(inputs: Inputs, expected: str) -> None:
    """Explicit deny first, then each kind that must allow."""
    assert expected == ask(ONE, inputs)


@pytest.mark.parametrize(
    ("who", "named", "expected"),
    [
        # "Policy evaluation for requests within a single account", by principal; all with a boundary and a
        # session policy that allow something else
        (ADA, {"AWS": USER}, "allowed resource"),
        (ONE, {"AWS": SESSION}, "allowed resource"),
        (ONE, {"AWS": ROLE}, "implicit_deny boundary"),
        (FEDERATED, {"AWS": USER}, "implicit_deny boundary"),
        (FEDERATED, {"AWS": FEDERATED.arn}, "allowed resource"),
        (ONE, "*", "allowed resource"),
        (ONE, ACCOUNT_ROOT, "implicit_deny identity"),
        (ADA, {"AWS": HERE}, "implicit_deny identity"),
        (ADA, {"AWS": f"arn:aws:iam::{HERE}:user/bob"}, "implicit_deny identity"),
        (ADA, {"Service": "sqs.amazonaws.com"}, "implicit_deny identity"),
    ],
)
def test_what_a_resource_policy_grants_depends_on_how_it_names_the_caller(
    who: Principal, named: str | Mapping[str, str], expected: str
) -> None:
    """An implicit deny limits a role that is named, not a session or user that is."""
    resource = (at_queue("Allow", named),)

    assert expected == ask(who, Inputs(boundary=OTHER, session=OTHER, resource=resource))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        # "Cross-account policy evaluation logic": both accounts must allow
        (Inputs(identity=YES), "implicit_deny resource"),
        (Inputs(resource=(at_queue("Allow", {"AWS": USER}),)), "implicit_deny identity"),
        (Inputs(identity=YES, resource=(at_queue("Allow", {"AWS": USER}),)), "allowed resource"),
        (Inputs(identity=YES, resource=(at_queue("Allow", ACCOUNT_ROOT),)), "allowed resource"),
        (Inputs(identity=YES, resource=(at_queue("Allow", "*"),), boundary=OTHER), "implicit_deny boundary"),
    ],
)
def test_another_account_s_resource_needs_both(inputs: Inputs, expected: str) -> None:
    """The caller's own policies and the resource's."""
    assert expected == ask(ADA, inputs, owner=THERE)


@pytest.mark.parametrize(
    ("resource", "identity", "expected"),
    [
        # KMS Developer Guide "Default key policy": the account in it "allows the account to use IAM policies"
        ((at_queue("Allow", ACCOUNT_ROOT),), YES, "allowed identity"),
        ((at_queue("Allow", ACCOUNT_ROOT),), (), "implicit_deny identity"),
        ((at_queue("Allow", {"AWS": USER}),), (), "allowed resource"),
        ((at_queue("Allow", {"AWS": ROLE}),), YES, "implicit_deny resource"),
        ((), YES, "implicit_deny resource"),
    ],
)
def test_a_resource_that_decides_alone_hands_over_to_the_account_or_not(
    resource: tuple[Policy, ...], identity: tuple[Policy, ...], expected: str
) -> None:
    """KMS keys and role trust."""
    assert expected == ask(ADA, Inputs(identity=identity, resource=resource, resource_decides=True))


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        # AWS JSON policy elements, NotPrincipal
        ([USER, f"arn:aws:iam::{HERE}:root"], "allowed identity"),
        ([USER], "explicit_deny resource"),
        ([f"arn:aws:iam::{HERE}:user/bob"], "explicit_deny resource"),
    ],
)
def test_not_principal_spares_only_who_is_named_with_the_account(listed: list[str], expected: str) -> None:
    """With Deny, everybody else is denied."""
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": listed}, "Action": "*", "Resource": "*"}

    assert expected == ask(ADA, Inputs(identity=YES, resource=(parse({"Statement": [statement]}),)))


@pytest.mark.parametrize(
    ("element", "pattern", "expected"),
    [
        # "IAM JSON policy elements: Action": "not case-sensitive", and its NotAction
        ("Action", "sqs:SendMessage", True),
        ("Action", "SQS:sendmessage", True),
        ("Action", "sqs:Send*", True),
        ("Action", "sqs:Send?essage", True),
        ("Action", "sqs:Receive*", False),
        ("NotAction", "sqs:*", False),
        ("NotAction", "iam:*", True),
        # "IAM JSON policy elements: Resource": wildcards in a segment; an incomplete ARN is filled with *
        ("Resource", QUEUE, True),
        ("Resource", f"arn:aws:sqs:*:{HERE}:*", True),
        ("Resource", "arn:aws:sqs", True),
        ("Resource", "arn:aws:*:work", False),
        ("Resource", "arn:aws:sqs:eu-*-1:*:w?rk", True),
        ("Resource", QUEUE.upper(), False),
        ("NotResource", QUEUE, False),
        ("NotResource", "arn:aws:sqs:*:*:other", True),
    ],
)
def test_actions_and_resources_match_as_documented(element: str, pattern: str, *, expected: bool) -> None:
    """One element at a time, the others open."""
    open_ones = {"Action": "*", "Resource": "*"}
    open_ones.pop(element.removeprefix("Not"))
    made = parse({"Statement": {"Effect": "Allow", **open_ones, element: pattern}})

    assert expected is decide(Request(ADA, "sqs:SendMessage", QUEUE, HERE), Inputs(identity=(made,))).allowed


@pytest.mark.parametrize(
    "document",
    [
        "not json",
        "[]",
        {"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "NotResource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Conditions": {}}},
        {"Statement": {"Effect": "Allow", "Action": 1, "Resource": "*"}},
    ],
)
def test_a_document_that_is_not_a_policy_is_refused(document: str | Mapping[str, Any]) -> None:
    """It neither allows nor denies."""
    with pytest.raises(PolicyError):
        parse(document)


STATEMENTS = st.builds(
    policy,
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["*", "sqs:*", "sqs:SendMessage", "sns:*"]),
    st.sampled_from(["*", QUEUE, "arn:aws:sqs:*:*:other"]),
)
SETS = st.lists(STATEMENTS, max_size=3).map(tuple)
INPUTS = st.builds(
    Inputs,
    identity=SETS,
    boundary=st.none() | SETS,
    session=st.none() | SETS,
    resource=st.lists(
        st.builds(
            at_queue,
            st.sampled_from(["Allow", "Deny"]),
            st.sampled_from(["*", {"AWS": USER}, {"AWS": HERE}, {"AWS": ROLE}]),
        ),
        max_size=2,
    ).map(tuple),
    scps=st.lists(SETS, max_size=2).map(tuple),
    resource_decides=st.booleans(),
)
CALLERS = st.sampled_from([ADA, ONE, FEDERATED])


@given(INPUTS, CALLERS, st.sampled_from(["identity", "boundary", "session", "scps"]))
def test_an_explicit_deny_anywhere_wins(inputs: Inputs, who: Principal, place: str) -> None:
    """Whatever else is said."""
    held = getattr(inputs, place) or ()
    change: dict[str, Any] = {place: (*held, NO) if place == "scps" else (*held, *NO)}
    denied = replace(inputs, **change)

    assert ask(who, denied).startswith("explicit_deny")


@given(INPUTS, CALLERS, st.integers(0, 2))
def test_taking_an_allow_away_never_allows_more(inputs: Inputs, who: Principal, at: int) -> None:
    """Permissions only shrink with their grants."""
    for place in ("identity", "boundary", "session", "resource"):
        held = getattr(inputs, place) or ()
        kept = tuple(one for n, one in enumerate(held) if n != at or one.statements[0].effect == "Deny")
        change: dict[str, Any] = {place: kept if getattr(inputs, place) is not None else None}
        fewer = replace(inputs, **change)
        if ask(who, fewer).startswith("allowed"):
            assert ask(who, inputs).startswith("allowed")
