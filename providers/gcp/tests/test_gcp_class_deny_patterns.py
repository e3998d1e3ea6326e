"""What a rule denies for certain is held against a brute-force reading of its groups and exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass_gcp.actions.deny_baseline import BASELINE, denied_form, not_denied
from breakglass_gcp.actions.deny_patterns import certainly, perhaps
from breakglass_gcp.actions.deny_reach import home_of
from breakglass_gcp.actions.deny_rules import Rule, unknown_sets
from breakglass_gcp.minting import MINTS

_HOSTS = ("a.googleapis.com", "b.googleapis.com")
_KINDS = ("jobs", "queues", "jobsets")
_VERBS = ("get", "run", "getIamPolicy")
UNIVERSE = tuple(f"{host}/{kind}.{verb}" for host in _HOSTS for kind in _KINDS for verb in _VERBS)
_hosts, _kinds = st.sampled_from(_HOSTS), st.sampled_from((*_KINDS, "*"))
_patterns = st.one_of(
    st.builds("{}/{}.{}".format, _hosts, _kinds, st.sampled_from((*_VERBS, "*"))),
    st.builds("{}/*".format, _hosts),
)
_odd = st.one_of(_patterns, st.sampled_from(("*", "*/jobs.run", "a.googleapis.com/jobs*.run", "a*/*.g*")))


def of(denied: Sequence[str], excepted: Sequence[str] = (), **more: object) -> Rule:
    """Return a rule."""
    deny = {"denied_permissions": [*denied], "exception_permissions": [*excepted], **more}
    return Rule({"deny_rule": deny}, 0)  # type: ignore[dict-item]  # JSON


@given(st.lists(_patterns, max_size=4), st.lists(_odd, max_size=4))
def test_what_is_denied_is_what_every_reading_of_the_rule_denies(
    denied: list[str], excepted: list[str]
) -> None:
    """Each permission by itself, matched as a shell would."""
    one = of(denied, excepted)
    for permission in UNIVERSE:
        listed = any(fnmatchcase(permission, pattern) for pattern in denied)
        spared = any(fnmatchcase(permission, pattern) for pattern in excepted)
        assert one.denies(permission) == (listed and not spared), permission


@given(st.lists(_odd, max_size=4), st.sampled_from(UNIVERSE))
def test_certain_is_never_more_than_possible(patterns: list[str], permission: str) -> None:
    """What is no documented form is an exception at most."""
    assert perhaps(permission, patterns) or not certainly(permission, patterns)


@given(st.lists(st.tuples(st.lists(_patterns, max_size=3), st.lists(_odd, max_size=3)), max_size=3))
def test_what_rules_list_is_said_to_be_denied_only_if_not_all_of_it_is_excepted(
    rules: list[tuple[list[str], list[str]]],
) -> None:
    """Whatever a rule denies for certain is within what it is said to deny."""
    for denied, excepted in rules:
        one = of(denied, excepted)
        for permission in UNIVERSE:
            assert not one.denies(permission) or certainly(permission, one.permissions)


@pytest.mark.parametrize("excepted", ["storage.googleapis.com/objects.*", "storage.googleapis.com/*"])
def test_a_permission_whose_group_is_excepted_is_not_denied(excepted: str) -> None:
    """The group's name is another text than that of its members."""
    assert "storage.googleapis.com/objects.get" in not_denied((of(BASELINE, [excepted]),))


def test_a_group_of_which_one_is_excepted_does_not_deny_that_one() -> None:
    """Nor does the exception take more away than it names."""
    group = [*(one for one in BASELINE if "objects" not in one), "storage.googleapis.com/objects.*"]

    assert not_denied((of(group, ["storage.googleapis.com/objects.get"]),)) == (
        "storage.googleapis.com/objects.get",
    )


def test_an_exception_of_one_rule_takes_nothing_from_another() -> None:
    """Each rule is evaluated by itself (IAM API v2 reference, DenyRule)."""
    assert not_denied((of(BASELINE, ["storage.googleapis.com/*.*"]), of(BASELINE))) == ()


@pytest.mark.parametrize("condition", [{"expression": "resource.matchTag('1/env', 'dev')"}, {"title": "odd"}])
def test_a_rule_with_a_condition_denies_nothing_for_certain(condition: dict[str, str]) -> None:
    """Whether it holds is decided at each call."""
    assert not_denied((of(BASELINE, denial_condition=condition),)) == BASELINE


def test_everything_that_mints_must_be_denied() -> None:
    """One that is left out gives the agent another account's tokens."""
    assert {denied_form(one) for one in MINTS} <= set(BASELINE)
    assert "cloudresourcemanager.googleapis.com/projects.setIamPolicy" in BASELINE


_POOL = "iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/ci"


@pytest.mark.parametrize(
    ("spared", "known"),
    [
        ("principalSet://goog/group/bots@example.com", False),
        ("deleted:principalSet://goog/group/bots@example.com?uid=1", False),
        ("principalSet://something.new/of/google", False),
        (f"principalSet://{_POOL.replace('projects/7', 'projects/my-id')}/*", False),
        (f"principalSet://{_POOL.replace('/ci', '/theirs')}/*", True),
        ("principalSet://agents.global.org-2.system.id.goog/attribute.a/b", True),
        ("principal://goog/subject/ann@example.com", True),
    ],
)
def test_only_sets_that_are_somebody_elses_by_name_are_known_not_to_hold_the_agent(
    spared: str, *, known: bool
) -> None:
    """Groups, organisations, and what nobody has seen yet are unknown."""
    one = of(BASELINE, exception_principals=[spared])

    assert (unknown_sets((one,), [f"principal://{_POOL}/subject/bot"]) == ()) is known


@pytest.mark.parametrize(
    ("identity", "home"),
    [
        (f"principal://{_POOL}/subject/bot", "7"),
        ("principal://agents.global.org-42.system.id.goog/resources/aiplatform/x", "organizations/42"),
        ("principal://agents.global.project-42.system.id.goog/resources/aiplatform/x", "42"),
        ("principal://agents.global.org-42.system.id.goog.evil.example/resources/x", ""),
        ("principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/x", ""),
        ("bot@org-42.iam.gserviceaccount.com", "org-42"),
        ("7-compute@developer.gserviceaccount.com", "7"),
        ("my-id@appspot.gserviceaccount.com", "my-id"),
        ("service-7@gcp-sa-aiplatform-re.iam.gserviceaccount.com", "gcp-sa-aiplatform-re"),
        ("bot@my.org.iam.gserviceaccount.com", ""),
    ],
)
def test_whose_an_identity_is_is_told_by_its_name_or_not_at_all(identity: str, home: str) -> None:
    """A name that tells nothing is at home nowhere that a policy could cover."""
    assert home_of(identity) == home
