"""Our evaluation of RBAC says what the API server's own access review says."""

from __future__ import annotations

import itertools
import random
from typing import Any

from breakglass_kubernetes import probe
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from breakglass_kubernetes.rbac import Ask, Rule, acts, read
from breakglass_kubernetes.subjects import AUTHENTICATED, Who, account_of_user, who_is
from providers.kubernetes.tests.rig_k8s import Rig

RBAC = "rbac.authorization.k8s.io"
VERBS = (["get", "list"], ["create"], ["*"], ["impersonate"], ["bind"])
GROUPS = ([""], ["apps"], ["*"], ["", "apps"])
RESOURCES = (["pods"], ["pods/log"], ["*/log"], ["*"], ["secrets", "deployments"], ["pods/*"], ["users"])
NAMES: tuple[list[str], ...] = ([], [], ["one"])
ASKS = [
    Ask(verb, group, resource, name=name)
    for verb, (group, resource), name in itertools.product(
        ("get", "create", "impersonate"),
        (("", "pods"), ("", "pods/log"), ("", "pods/exec"), ("apps", "deployments"), ("apps", "x/log")),
        ("", "one"),
    )
]  # fmt: skip
URLS = [Ask("get", url=one) for one in ("/metrics", "/metrics/cadvisor", "/logs", "/logs/a")]


def test_whatever_the_roles_say_both_agree(rig: Rig) -> None:
    """Random rules, in every way that a binding can name an account, a user or a group."""
    dice = random.Random(20361)  # the same cases each time
    other = rig.new_namespace(f"{rig.namespace}-other")
    bot, user = (
        who_is(f"{rig.namespace}/bot"),
        Who(f"user-{rig.namespace}", frozenset((AUTHENTICATED, "crew"))),
    )
    for n in range(14):
        _bind(rig, f"r{n}", dice, (rig.namespace, other)[n % 2])
    rbac = read(rig.provider(service_accounts=[f"{rig.namespace}/bot"]).cluster)
    cases = [
        (who, Ask(one.verb, one.group, one.resource, where, one.name))
        for who in (bot, user)
        for one in dice.sample(ASKS, 16)
        for where in (rig.namespace, other, "")
    ]
    cases += [(who, one) for who in (bot, user) for one in URLS]  # fmt: skip

    said = probe.review_all(rig.opened[0].cluster, cases)
    wrong = [
        (one.who.user, one.ask, one.reason)
        for one in said
        if one.allowed is not rbac.allows(one.who, one.ask)
    ]

    assert [] == wrong
    assert {True, False} == {one.allowed for one in said}


def _bind(rig: Rig, name: str, dice: random.Random, namespace: str) -> None:
    rule: dict[str, Any] = {
        "verbs": dice.choice(VERBS),
        "apiGroups": dice.choice(GROUPS),
        "resources": dice.choice(RESOURCES),
    }
    rule |= {"resourceNames": names} if (names := dice.choice(NAMES)) else {}
    wide = dice.random() < 0.3
    rules = [rule]
    if wide:
        rules.append({"verbs": ["get"], "nonResourceURLs": [dice.choice(["/metrics*", "/logs/*", "/logs"])]})
    role = f"{rig.namespace}-{name}" if wide else name
    rig.make(CLUSTER_ROLES if wide else ROLES, role, {"rules": rules}, namespace=namespace)
    subject = dice.choice(
        [
            {"kind": "ServiceAccount", "name": "bot", "namespace": rig.namespace},
            {"kind": "ServiceAccount", "name": "bot", "namespace": namespace},
            {"kind": "User", "name": f"system:serviceaccount:{rig.namespace}:bot", "apiGroup": RBAC},
            {"kind": "User", "name": f"user-{rig.namespace}", "apiGroup": RBAC},
            {"kind": "Group", "name": f"system:serviceaccounts:{rig.namespace}", "apiGroup": RBAC},
            {"kind": "Group", "name": "crew", "apiGroup": RBAC},
        ]
    )
    ref = {"apiGroup": RBAC, "kind": "ClusterRole" if wide else "Role", "name": role}
    everywhere = wide and dice.random() < 0.5
    kind = CLUSTER_ROLE_BINDINGS if everywhere else ROLE_BINDINGS
    rig.make(kind, role, {"roleRef": ref, "subjects": [subject]}, namespace=namespace)


def test_what_lets_somebody_act_is_told_from_what_lets_them_look() -> None:
    """A shell needs no more than ``get``; asking what oneself may is nothing."""
    look = Rule(("get", "list"), ("",), ("pods", "configmaps"))
    shell = Rule(("get",), ("",), ("pods/exec",))
    secret = Rule(("list",), ("",), ("secrets",))
    everything = Rule(("get",), ("*",), ("*",))
    ask = Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews",))

    assert [False, True, True, True, False] == [acts(one) for one in (look, shell, secret, everything, ask)]


def test_only_a_whole_name_is_a_service_account() -> None:
    """Another user that begins like one is none."""
    assert "ns/bot" == account_of_user("system:serviceaccount:ns:bot")
    assert ["", "", ""] == [account_of_user(one) for one in ("bot", "system:serviceaccount:", "x:ns:bot")]
