"""Roles Anywhere profiles and EKS Pod Identity: what hands out the agent's role stops doing so."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Reversibility, Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import pod_identity, roles_anywhere
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

ROLE = "arn:aws:iam::123456789012:role/agent"


def _profile(rig: Rig, name: str, *roles: str, enabled: bool = True) -> str:
    made = rig.boto("rolesanywhere").create_profile(
        name=name, roleArns=list(roles or (ROLE,)), enabled=enabled
    )
    return str(made["profile"]["profileId"])


def test_a_profile_is_disabled_and_enabled_again(rig: Rig) -> None:
    """One that was disabled before the stop stays so."""
    on, off = _profile(rig, "on"), _profile(rig, "off", enabled=False)
    before = rig.sandbox.control("state")["anywhere_profiles"]
    provider = rig.provider(anchor_profiles=[on, off])
    steps = [one for one in provider.discover().proposals if one.action == roles_anywhere.SPEC.name]
    action = provider.actions[roles_anywhere.SPEC.name]

    priors = [close(action, one.target)[0] for one in steps]

    states = rig.sandbox.control("state")["anywhere_profiles"]
    assert not any(one["enabled"] for one in states.values())
    outcomes = [undo(action, one.target, prior).objects for one, prior in zip(steps, priors, strict=True)]
    assert outcomes == [{on: Outcome.RESTORED}, {off: Outcome.ALREADY}]
    assert rig.sandbox.control("state")["anywhere_profiles"] == before


def test_a_profile_that_nobody_named_but_gives_the_role_is_said(rig: Rig) -> None:
    """All pages are read; what a named one gives besides is its blast radius."""
    named = _profile(rig, "named", ROLE, "arn:aws:iam::123456789012:role/neighbour")
    for n in range(11):
        _profile(rig, f"other-{n}")
    provider = rig.provider(roles=["agent"], anchor_profiles=[named, "00000000-0000-0000-0000-000000000000"])

    discovery = provider.discover()

    left = {one.resource for one in discovery.not_touched}
    assert {f"Roles Anywhere profile other-{n}" for n in range(11)} <= left
    assert "Roles Anywhere profile 00000000-0000-0000-0000-000000000000" in left
    step = next(one for one in discovery.proposals if one.action == roles_anywhere.SPEC.name)
    assert step.affects == ("workloads that get arn:aws:iam::123456789012:role/neighbour through it",)


def test_a_profile_that_is_enabled_again_is_disabled_again(rig: Rig) -> None:
    """Whoever fights back is answered in the next round; one that is gone is contained."""
    profile = _profile(rig, "on")
    provider = rig.provider(anchor_profiles=[profile])
    found = proposal(provider, roles_anywhere.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("rolesanywhere").enable_profile(profileId=profile)
    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED
    close(action, found.target)
    rig.boto("rolesanywhere").delete_profile(profileId=profile)

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.CONTAINED
    assert undo(action, found.target, prior).objects == {profile: Outcome.DRIFTED}


def _associate(rig: Rig, account: str = "bot", **more: Any) -> str:  # noqa: ANN401 - whatever the API takes
    made = rig.boto("eks").create_pod_identity_association(
        clusterName="prod", namespace="agents", serviceAccount=account, roleArn=ROLE, **more
    )
    return str(made["association"]["associationId"])


def _cluster(rig: Rig) -> None:
    rig.boto("eks").create_cluster(
        name="prod", roleArn=ROLE, resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]}
    )


def test_an_association_is_made_again_equal_but_for_its_id(rig: Rig) -> None:
    """The plan says beforehand that the id is new."""
    _cluster(rig)
    name = _associate(rig, tags={"team": "a"}, disableSessionTags=True)
    before = rig.sandbox.control("state")["pod_identities"]
    provider = rig.provider(pod_identities=[f"prod/{name}", "prod/a-gone"])
    found = proposal(provider, pod_identity.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert rig.sandbox.control("state")["pod_identities"] == {}
    assert undo(action, found.target, prior).objects == {name: Outcome.RESTORED}
    assert rig.sandbox.control("state")["pod_identities"] == before
    assert undo(action, found.target, prior).objects == {name: Outcome.ALREADY}
    assert pod_identity.SPEC.reversibility is Reversibility.PARTIAL
    assert "new" in pod_identity.SPEC.undo
    assert "pod identity prod/a-gone" in {one.resource for one in provider.discover().not_touched}


def test_an_association_that_is_made_again_during_the_stop_is_deleted_and_stays_so(rig: Rig) -> None:
    """Only the signed one comes back; the one of another service account is not touched."""
    _cluster(rig)
    name, neighbour = _associate(rig), _associate(rig, "neighbour")
    provider = rig.provider(pod_identities=[f"prod/{name}"])
    found = proposal(provider, pod_identity.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    again = _associate(rig)
    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED
    more, _ = close(action, found.target)

    outcome = undo(action, found.target, {**prior, **more})

    assert outcome.objects == {name: Outcome.RESTORED, again: Outcome.CANNOT}
    listed = rig.boto("eks").list_pod_identity_associations(clusterName="prod")["associations"]
    assert neighbour in {one["associationId"] for one in listed}
