"""The least role: what `providers show kubernetes --rbac` prints is enough, and nothing in it is too much."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from breakglass.canon import JsonObject
from breakglass.errors import ProviderError
from breakglass.model.resource import Reach, State
from breakglass_kubernetes import parts, permissions
from breakglass_kubernetes.kinds import CRON_JOBS, SERVICE_ACCOUNTS
from breakglass_kubernetes.permissions import Right
from providers.kubernetes.tests.least_k8s import least
from providers.kubernetes.tests.rig_k8s import Rig, template


def shown(*words: str) -> tuple[int, str, str]:
    """Run the command without a kit; return exit code, stdout and stderr."""
    line = [sys.executable, "-m", "breakglass", "providers", "show", *words]
    env = {**os.environ, "BREAKGLASS_KIT": ""}
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_it_is_one_role_without_wildcards_that_leaves_custom_resources_out_and_says_so() -> None:
    """Without an agent nobody knows which controllers its cluster has."""
    code, text, said = shown("kubernetes", "--rbac")
    assert code == 0, said
    role = json.loads(text)
    assert (role["apiVersion"], role["kind"]) == ("rbac.authorization.k8s.io/v1", "ClusterRole")
    assert "*" not in text
    assert "keda.sh" not in json.dumps(role["rules"])
    assert "left out, since no agent is named" in said
    assert "scaledobjects.keda.sh" in said.replace("\n  ", " ")


def test_the_same_bytes_are_printed_twice() -> None:
    """So that a role under version control changes when the rights do."""
    assert shown("kubernetes", "--rbac") == shown("kubernetes", "--rbac")


def test_a_provider_without_roles_is_refused_in_words() -> None:
    """Exit 2: nothing is printed that could be applied."""
    code, text, said = shown("aws", "--rbac")
    assert (code, text) == (2, "")
    assert "aws has no RBAC roles" in said


@pytest.mark.parametrize("words", [("kubernetes", "bot"), ("kubernetes", "bot", "--policy")])
def test_an_agent_without_the_flag_is_not_taken_for_nothing(words: tuple[str, ...]) -> None:
    """Exit 2: the operator would believe that what is shown is for that agent."""
    code, _, said = shown(*words)
    assert code == 2
    assert "--rbac" in said


def test_an_agent_that_no_kit_knows_is_refused() -> None:
    """Exit 2 or 5, and no role."""
    code, text, _ = shown("kubernetes", "nobody", "--rbac")
    assert code != 0
    assert not text


@pytest.mark.parametrize("purpose", [permissions.STOP, permissions.RESTORE, permissions.BOTH])
def test_every_right_of_every_action_is_in_the_role_of_an_agent(purpose: str) -> None:
    """Each once, and none that nothing needs."""
    held = {
        Right(group, resource, verb)
        for role in permissions.documents(purpose, [_reach()])
        for rule in _rules(role)
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
        for verb in rule["verbs"]
    }
    wanted = {one for one in permissions.needed(purpose) if not one.url}
    assert held == wanted


def test_an_action_with_a_wildcard_cannot_be_printed() -> None:
    """A role with one would be no least role."""
    with pytest.raises(ValueError, match="no permission"):
        Right.parse("* pods")


def test_a_restore_alone_may_not_stop() -> None:
    """Its role lacks what only a stop does."""
    assert permissions.needed(permissions.RESTORE) != permissions.needed(permissions.STOP)


def test_an_executor_with_exactly_that_role_stops_and_puts_back(rig: Rig) -> None:
    """It connects, discovers, and runs every verb of every action that is proposed; nothing is forbidden."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    rig.pod(account="bot")
    cron = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": _once()}}}
    rig.make(CRON_JOBS, "nightly", {"metadata": {"labels": {"app": "bot"}}, "spec": cron})
    provider = least(rig, user=f"least-{rig.namespace}")
    discovery = provider.discover()
    assert discovery.incomplete == ()
    assert discovery.proposals
    forbidden: list[str] = []
    for proposal in discovery.proposals:
        action = provider.actions[proposal.action]
        try:
            before = action.observe(proposal.target)
            assert "forbidden" not in before.note, (proposal.action, before.note)
            action.apply(proposal.target, before, "token")
            action.judge(proposal.target, action.observe(proposal.target))
            action.probe(proposal.target)
            action.revert(proposal.target, State(before.objects), action.observe(proposal.target))
        except ProviderError as error:
            if "forbidden" in str(error).lower():
                forbidden.append(f"{proposal.action}: {error}")
    assert forbidden == []


def test_the_agent_of_that_test_meets_the_actions_that_are_there(rig: Rig) -> None:
    """What a cluster without custom resources can propose, is proposed: else nothing was shown above."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    rig.pod(account="bot")
    proposed = {one.action for one in rig.provider().discover().proposals}
    assert proposed
    assert proposed <= {spec.name for spec in parts.SPECS}


def _once() -> dict[str, object]:
    pod = template(account="bot")
    return {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}


def _reach() -> Reach:
    return Reach("kubernetes", {"namespace": "bot", "selector": "app=bot"}, "test")


def _rules(role: JsonObject) -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = json.loads(json.dumps(role["rules"]))
    return found
