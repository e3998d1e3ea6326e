"""The executor's rights are the least that the actions declare, and its denies hit none of them."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from breakglass.canon import Json, JsonObject
from breakglass.model.resource import Reach
from breakglass_aws import parts
from breakglass_aws.forbidden import FORBIDDEN
from breakglass_aws.permissions import LONGEST_POLICY, NEVER, denied, documents, needed, split
from breakglass_aws.sandbox.evaluator import parse
from breakglass_aws.settings import AWS_DENY_ALL


def _statements(document: JsonObject) -> list[JsonObject]:
    found = document["Statement"]
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, dict)]


def _actions(document: JsonObject, effect: str) -> set[str]:
    return {
        str(action)
        for one in _statements(document)
        if one["Effect"] == effect
        for action in _list(one["Action"])
    }


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def test_each_purpose_allows_exactly_what_its_actions_declare() -> None:
    """No wildcard, nothing that nobody asked for."""
    for purpose in ("stop", "restore"):
        (document,) = documents(purpose, ())
        assert _actions(document, "Allow") == needed(purpose)
        assert not any("*" in action for action in needed(purpose))
    assert {action for spec in parts.SPECS for action in spec.permissions} <= needed("stop") | NEVER


def test_no_deny_hits_a_right_that_an_action_needs() -> None:
    """A deny wins over every allow: one that is too wide would break the stop or the restore."""
    for pattern in denied():
        hit = [
            name for name in needed("stop") | needed("restore") if fnmatchcase(name.lower(), pattern.lower())
        ]
        assert not hit, f"{pattern} denies {hit}"


def test_the_denies_that_matter_are_there() -> None:
    """What is left out is left out because an action needs it, and that is little."""
    assert {
        "cloudtrail:StopLogging",
        "ec2:TerminateInstances",
        "iam:Create*",
        "iam:DeleteRole",
        "kms:ScheduleKeyDeletion",
        "organizations:LeaveOrganization",
        "s3:BypassGovernanceRetention",
        "s3:DeleteObject*",
    } <= denied()
    assert len(set(FORBIDDEN) - denied()) <= 4


def test_only_policies_that_deny_everything_may_be_attached() -> None:
    """The executor cannot give anybody rights by a policy; reaches name their own quarantine policy."""
    own = "arn:aws:iam::123456789012:policy/quarantine"
    for reaches, policy in (((), AWS_DENY_ALL), ((Reach("aws", {"quarantine_policy": own}, "x"),), own)):
        for purpose in ("stop", "restore"):
            (document,) = documents(purpose, reaches)
            bound = [one for one in _statements(document) if one.get("Condition")]
            attach = next(one for one in bound if one["Sid"] == "AttachOnlyDenies")
            assert attach["Condition"] == {"ArnEquals": {"iam:PolicyARN": [policy]}}


def test_nobody_is_assumed() -> None:
    """An executor that may assume any role could do anything."""
    assert "sts:AssumeRole" not in _actions(documents("stop", ())[0], "Allow")


def test_pieces_fit_a_managed_policy_and_say_the_same() -> None:
    """At most 6,144 characters each; both purposes together leave room among ten attached policies."""
    count = 0
    for purpose in ("stop", "restore"):
        (document,) = documents(purpose, ())
        pieces = split(document)
        assert all(len(json.dumps(piece, separators=(",", ":"))) <= LONGEST_POLICY for piece in pieces)
        for effect in ("Allow", "Deny"):
            assert set[str]().union(*(_actions(one, effect) for one in pieces)) == _actions(document, effect)
        for piece in pieces:
            parse(json.loads(json.dumps(piece)), "a piece")
            assert [one["Sid"] for one in _statements(piece)] == [
                str(one["Sid"]) for one in _statements(piece) if str(one["Sid"]).isalnum()
            ]
        count += len(pieces)
    assert count <= 8


def test_a_statement_that_is_too_long_alone_is_cut() -> None:
    """Small limits cut by actions; each piece keeps its conditions."""
    (document,) = documents("stop", ())
    pieces = split(document, 600)
    assert all(len(json.dumps(piece, separators=(",", ":"))) <= 600 for piece in pieces)
    assert set[str]().union(*(_actions(one, "Allow") for one in pieces)) == needed("stop")
    for piece in pieces:
        for one in _statements(piece):
            assert ("Condition" in one) == str(one["Sid"]).startswith(("Attach", "Boundaries", "HandBack"))


def test_the_documents_are_the_same_each_time() -> None:
    """They are compared and signed."""
    assert json.dumps(documents("stop", ())) == json.dumps(documents("stop", ()))


def test_an_executor_may_not_write_its_own_role() -> None:
    """Where the inventory names it: who may put policies on roles could else give itself everything."""
    own = "arn:aws:iam::123456789012:role/breakglass-executor"
    reach = Reach("aws", {"account": "123456789012", "region": "eu-west-1", "as": own}, "agents/a.yaml:1")
    for purpose in ("stop", "restore"):
        (document,) = documents(purpose, [reach])
        (itself,) = [one for one in _statements(document) if one.get("Resource") == [own]]
        assert itself["Effect"] == "Deny"
        writes = {str(action) for action in _list(itself["Action"])}
        assert {"iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"} <= writes
        assert not any(action.startswith(("iam:Get", "iam:List", "iam:Simulate")) for action in writes)
        for piece in split(document):
            assert len(json.dumps(piece, separators=(",", ":"))) <= LONGEST_POLICY
            sids = [str(one["Sid"]) for one in _statements(piece)]
            assert len(set(sids)) == len(sids)
            assert all(sid.isalnum() for sid in sids)
