"""The least role: what `providers show kubernetes --rbac` prints is enough, and nothing in it is too much."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from breakglass.canon import Json, JsonObject
from breakglass.errors import Denied
from breakglass.model.resource import Reach, State
from breakglass_kubernetes import permissions
from breakglass_kubernetes.kinds import (
    AUTOSCALERS,
    CRON_JOBS,
    DAEMON_SETS,
    JOBS,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    Kind,
)
from breakglass_kubernetes.permissions import Right
from breakglass_kubernetes.sandbox.install import install
from providers.kubernetes.tests.least_k8s import RBAC, least
from providers.kubernetes.tests.planes_k8s import OWN
from providers.kubernetes.tests.rig_k8s import Rig, template

PLANE = OWN  # all kinds of all projects are served in it
ADMISSION = re.compile("ValidatingAdmissionPolicy|exceeded quota")


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
    """It connects, discovers, and runs every verb of every action; the audit log holds no refusal of it."""
    for project in ("argo", "keda", "flux", "knative", "cilium", "calico"):
        install(rig.plane.call, project)
    settle(rig)
    whole: dict[str, Json] = {"namespace": rig.namespace, "own_namespace": True}
    user = f"least-{rig.namespace}"
    provider = least(rig, user=user, **whole)
    before = len(rig.plane.audit())
    discovery = provider.discover()
    assert discovery.incomplete == ()
    proposed = {one.action for one in discovery.proposals}
    assert len(proposed) > 10
    for proposal in discovery.proposals:
        action = provider.actions[proposal.action]
        prior = action.observe(proposal.target)
        assert prior.complete, (proposal.action, prior.note)
        action.apply(proposal.target, prior, "token")
        action.probe(proposal.target)
        again = action.observe(proposal.target)
        action.revert(proposal.target, State(prior.objects), again)
    assert refused(rig, user, before) == []


def test_what_the_server_forbids_is_seen_by_that_test(rig: Rig) -> None:
    """An executor that lacks the role is refused, and the audit log says so."""
    before = len(rig.plane.audit())
    user = f"nobody-{rig.namespace}"
    with pytest.raises(Denied):
        rig.provider(user=user, groups=())
    assert refused(rig, user, before) != []


def refused(rig: Rig, user: str, since: int) -> list[str]:
    """Return what the server forbade an identity, by its audit log; a refusal by admission is none."""
    events = [one for one in rig.plane.audit(since) if one["user"]["username"] == user]
    return [
        f"{one['verb']} {one['requestURI']}: {one['responseStatus'].get('message')}"
        for one in events
        if one.get("responseStatus", {}).get("code") == 403
        and not ADMISSION.search(str(one["responseStatus"].get("message")))
    ]


def settle(rig: Rig) -> None:
    """Make an agent with one of nearly everything."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.deployment(account="bot")
    rig.pod(account="bot")
    pod = template(account="bot")
    selector = {"matchLabels": {"app": "bot"}}
    once = {"template": {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}}
    more: tuple[tuple[Kind, dict[str, Any]], ...] = (
        (STATEFUL_SETS, {"selector": selector, "serviceName": "x", "template": pod}),
        (DAEMON_SETS, {"selector": selector, "template": pod}),
        (JOBS, once),
        (CRON_JOBS, {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": once}}),
        (
            AUTOSCALERS,
            {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bot"},
            },
        ),
        (NETWORK_POLICIES, {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}),
    )
    for kind, spec in more:
        rig.make(kind, "bot-too", {"metadata": {"labels": {"app": "bot"}}, "spec": spec})
    body = {
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": rig.namespace}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
    }
    rig.make(ROLE_BINDINGS, "bot", body)
    about = {"annotations": {"kubernetes.io/service-account.name": "bot"}}
    rig.make(SECRETS, "bot-token", {"metadata": about, "type": "kubernetes.io/service-account-token"})


def _reach() -> Reach:
    return Reach("kubernetes", {"namespace": "bot", "selector": "app=bot"}, "test")


def _rules(role: JsonObject) -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = json.loads(json.dumps(role["rules"]))
    return found
