"""Who the agent is: accounts, principals, and the identities that engines of Agent Engine act as."""

from __future__ import annotations

from typing import Any

from breakglass.canon import Json
from breakglass_gcp.actions.deny_rules import MOST_PRINCIPALS
from providers.gcp.tests.deny_gcp import ACCOUNT, arm, policy_name, rule
from providers.gcp.tests.engines_gcp import make_engine
from providers.gcp.tests.rig_gcp import Rig, proposal

DENY, GRANTS = "gcp.iam.deny_class", "gcp.projects.remove_grants"
ENGINE = "principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/7/locations/eu/reasoningEngines/"


def engine(rig: Rig, **spec: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
    """Make an engine; return its entry in an inventory and what it acts as."""
    return make_engine(rig.admin, rig.project, spec)


def test_an_engines_own_identity_is_denied_and_loses_its_grants(rig: Rig) -> None:
    """The inventory names the engine; whom it acts as is read."""
    arm(rig)
    entry, identity = engine(rig, identityType="AGENT_IDENTITY")
    rig.grant(f"principal://{identity}", "roles/viewer")
    provider = rig.provider(agent_engines=[entry], class_deny_policy=policy_name(rig))

    assert proposal(provider, DENY).target.params["principals"] == [f"principal://{identity}"]
    assert proposal(provider, GRANTS).target.params["grants"] == [f"roles/viewer principal://{identity}"]


def test_an_engine_that_acts_as_an_account_is_no_principal_of_its_own(rig: Rig) -> None:
    """The account has its own step where the inventory names it."""
    entry, _ = engine(rig, serviceAccount=rig.account("bot"))
    found = rig.provider(agent_engines=[entry]).discover()

    assert GRANTS not in [one.action for one in found.proposals]


def test_an_engine_that_cannot_be_read_makes_the_plan_incomplete(rig: Rig) -> None:
    """Then nobody knows what it acts as."""
    entry, _ = engine(rig, identityType="AGENT_IDENTITY")
    fault = {
        "method": "*GetReasoningEngine",
        "project": rig.project,
        "code": "PERMISSION_DENIED",
        "times": 99,
    }
    also = {**fault, "method": "aiplatform.*reasoningEngines.get"}
    rig.control("faults", {"faults": [fault, also]})
    found = rig.provider(agent_engines=[entry]).discover()
    rig.control("faults", {"faults": []})

    assert any("identity of Agent Engine" in one for one in found.incomplete), found.incomplete


def test_a_shared_account_is_denied_only_where_that_is_accepted(rig: Rig) -> None:
    """The default account of Compute Engine is everybody's who names none."""
    arm(rig)
    shared = f"{rig.number}-compute@developer.gserviceaccount.com"
    own = rig.account("bot")
    parts: dict[str, Json] = {"service_accounts": [own, shared], "class_deny_policy": policy_name(rig)}
    without = rig.provider(**parts)
    accepted = rig.provider(**parts, accept_blast_radius=[shared])

    assert proposal(without, DENY).target.params["principals"] == [f"{ACCOUNT}{own}"]
    assert f"{ACCOUNT}{shared}" in str(proposal(accepted, DENY).target.params["principals"])


def test_the_deny_is_moot_where_every_identity_has_a_step_of_its_own(rig: Rig) -> None:
    """Then its proof is not waited for, and its restore waits for nothing."""
    arm(rig)
    own = rig.account("bot")
    step = proposal(rig.provider(service_accounts=[own], class_deny_policy=policy_name(rig)), DENY)

    assert step.moot_by == (f"disable_account:{own}",)
    assert "undo_wait_s" not in step.target.params


def test_more_principals_than_a_policy_holds_are_said_before_anybody_signs(rig: Rig) -> None:
    """All deny policies of a resource hold 2,500; those with a step of their own make room first."""
    standing = [f"principal://goog/subject/{n}@example.com" for n in range(MOST_PRINCIPALS - 10)]
    arm(rig, rule(rig, denied_principals=standing))
    emails = [rig.account(f"bot-{n}") for n in range(6)]
    few = [f"{ENGINE}{n}" for n in range(5)]
    fits = rig.provider(service_accounts=[*emails], principals=[*few], class_deny_policy=policy_name(rig))
    many = rig.provider(principals=[f"{ENGINE}{n}" for n in range(11)], class_deny_policy=policy_name(rig))
    found = many.discover()

    assert proposal(fits, DENY).target.params["principals"] == few
    assert DENY not in [one.action for one in found.proposals]
    assert any("has room for" in one.reason for one in found.not_touched)
