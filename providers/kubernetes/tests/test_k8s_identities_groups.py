"""Groups that reach the agent, rights that outlive it, certificates, Secrets: cut, or said before signing."""

from __future__ import annotations

import base64

from breakglass.model.action import Verdict
from breakglass.model.plan import DoorKind
from breakglass.provider import Discovery, Outcome, ProposedDoor
from breakglass_kubernetes.actions import bindings, group_bindings, identities, service_accounts
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from breakglass_kubernetes.ownership import Held
from breakglass_kubernetes.scope import Scope
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

RBAC = "rbac.authorization.k8s.io"


def group(name: str) -> dict[str, str]:
    """Return a group as a subject."""
    return {"kind": "Group", "name": name, "apiGroup": RBAC}


def bind(rig: Rig, name: str, subjects: list[dict[str, str]], role: str, *, wide: bool = False) -> None:
    """Bind subjects to a ClusterRole."""
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    kind = CLUSTER_ROLE_BINDINGS if wide else ROLE_BINDINGS
    rig.make(kind, name, {"roleRef": ref, "subjects": subjects})


def door(found: Discovery, part: str) -> ProposedDoor:
    """Return the one door whose name has a part."""
    said = [one for one in found.doors if part in one.door.name]
    assert len(said) == 1, [one.door.name for one in found.doors]
    return said[0]


def test_the_group_of_a_namespace_of_its_own_is_taken_out_beside_its_account(rig: Rig) -> None:
    """Two steps cut one binding, and put it back in either order."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    bot = {"kind": "ServiceAccount", "name": "bot", "namespace": rig.namespace}
    mine, theirs = group(f"system:serviceaccounts:{rig.namespace}"), group("crew")
    bind(rig, "mixed", [bot, mine, theirs], "edit")
    provider = rig.provider(namespace=rig.namespace, own_namespace=True)
    accounts, groups = proposal(provider, bindings.SPEC.name), proposal(provider, group_bindings.SPEC.name)
    one, two = provider.actions[bindings.SPEC.name], provider.actions[group_bindings.SPEC.name]
    for swapped in (False, True):
        first, _ = close(one, accounts.target)
        second, _ = close(two, groups.target)
        proof = one.probe(accounts.target)
        assert [theirs] == rig.get(ROLE_BINDINGS, "mixed")["subjects"]
        assert proof is not None
        assert Verdict.CONTAINED is proof.verdict
        undone = [(one, accounts, first), (two, groups, second)]
        for action, step, prior in undone[::-1] if swapped else undone:
            assert [Outcome.RESTORED] == list(undo(action, step.target, prior).objects.values())

        assert [bot, mine, theirs] == rig.get(ROLE_BINDINGS, "mixed")["subjects"]
        assert "breakglass" not in str(rig.get(ROLE_BINDINGS, "mixed")["metadata"]["managedFields"])


def test_a_group_that_others_are_in_is_a_door_until_the_accounts_are_gone(rig: Rig) -> None:
    """What only lets them look is listed; what every identity has is not mentioned."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    bind(rig, "everyone", [group("system:serviceaccounts")], "edit")
    bind(rig, "watchers", [group("system:authenticated")], "system:basic-user")
    wide = f"looking-{rig.namespace}"
    bind(rig, wide, [group("system:authenticated")], "system:kube-dns", wide=True)
    found = rig.provider(service_accounts=[f"{rig.namespace}/bot"]).discover()

    said = door(found, f"{rig.namespace}/everyone")

    assert (DoorKind.PRIVILEGED, Verdict.NOT_CONTAINED) == (said.door.kind, said.door.verdict)
    assert (service_accounts.KEY,) == said.closed_by
    again = rig.provider(service_accounts=[f"{rig.namespace}/default"]).discover()
    assert () == door(again, f"{rig.namespace}/everyone").closed_by
    assert [wide in one.resource for one in found.not_touched].count(True) == 1
    assert not [one for one in found.doors if "watchers" in one.door.name or "basic-user" in one.door.name]
    assert group_bindings.SPEC.name not in {one.action for one in found.proposals}
    rig.plane.call("DELETE", CLUSTER_ROLE_BINDINGS.path("", wide))
    rig.plane.call("DELETE", ROLE_BINDINGS.path(rig.namespace, "everyone"))


def test_a_role_that_everybody_has_is_a_door_once_somebody_widened_it(rig: Rig) -> None:
    """Its name makes nothing harmless."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    role = rig.plane.call("GET", CLUSTER_ROLES.path("", "system:basic-user"))
    wider = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    put = rig.plane.call(
        "PUT", CLUSTER_ROLES.path("", "system:basic-user"), {**role, "rules": [*role["rules"], wider]}
    )
    found = rig.provider(service_accounts=[f"{rig.namespace}/bot"]).discover()
    rig.plane.call("PUT", CLUSTER_ROLES.path("", "system:basic-user"), {**put, "rules": role["rules"]})

    assert Verdict.NOT_CONTAINED is door(found, "/system:basic-user").door.verdict


def test_rights_to_get_credentials_of_others_are_said_only_where_it_had_them(rig: Rig) -> None:
    """A reader could do nothing of it; an editor could read Secrets, mint tokens and run pods."""
    for name, role in (("reader", "view"), ("editor", "edit")):
        rig.make(SERVICE_ACCOUNTS, name, {})
        bind(rig, name, [{"kind": "ServiceAccount", "name": name, "namespace": rig.namespace}], role)
    reader = rig.provider(service_accounts=[f"{rig.namespace}/reader"]).discover()
    editor = rig.provider(service_accounts=[f"{rig.namespace}/editor"]).discover()

    could = [one.door.name for one in editor.doors if one.door.kind is DoorKind.CAN_MINT]

    assert not [one for one in reader.doors if one.door.name.startswith("could")]
    # One door: they come by the same binding, and one look at the audit log answers for all of them.
    words = "mint tokens, read Secrets, make token Secrets, run pods, enter containers and act as others"
    assert [f"could {words}"] == could
    assert Verdict.UNKNOWN is door(editor, "could mint tokens").door.verdict


def test_a_certificate_of_a_user_is_named_with_its_end_and_with_what_its_groups_keep(rig: Rig) -> None:
    """No cluster can revoke one; a group that may do anything makes the stop not contained."""
    user, crew = f"user-{rig.namespace}", f"crew-{rig.namespace}"
    bind(rig, "crew", [group(crew)], "edit")
    _request(rig, user, crew)
    found = rig.provider(users=[user, "unseen"]).discover()

    seen, unseen = door(found, f"of user {user}").door, door(found, "user unseen").door

    assert (Verdict.NOT_CONTAINED, DoorKind.PRIVILEGED) == (seen.verdict, seen.kind)
    assert crew in seen.reason
    assert Verdict.UNKNOWN is unseen.verdict
    both = Found(Scope("test-bot", users=(user,), groups=(crew,)), Held((), frozenset()))
    known = [one.door for one in identities.propose(rig.opened[0].cluster, both).doors]
    assert [Verdict.UNKNOWN] == [one.verdict for one in known if f"of user {user}" in one.name]


def test_secrets_that_its_pods_read_are_listed_for_rotation(rig: Rig) -> None:
    """With the names of their keys, never a value; a pull Secret is only listed."""
    rig.make(SECRETS, "stripe", {"stringData": {"api-key": "hunter2"}})
    rig.make(SECRETS, "pull", {"stringData": {"x": "y"}})
    ref = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "stripe", "key": "api-key"}}}
    container = {"name": "main", "image": "example.invalid/bot:1", "env": [ref]}
    rig.deployment(containers=[container], imagePullSecrets=[{"name": "pull"}])
    found = rig.provider().discover()

    said = door(found, f"secrets/{rig.namespace}/stripe").door

    assert (DoorKind.CREDENTIAL_WITHHELD, Verdict.UNKNOWN) == (said.kind, said.verdict)
    assert "api-key" in said.reason
    assert "hunter2" not in str(found)
    assert [f"secrets/{rig.namespace}/pull" == one.resource for one in found.not_touched].count(True) == 1


def _request(rig: Rig, user: str, organisation: str) -> None:
    """Let the cluster sign a client certificate."""
    import time

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    names = [
        x509.NameAttribute(NameOID.COMMON_NAME, user),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
    ]
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    body = {
        "metadata": {"name": user},
        "spec": {
            "request": base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }
    whole = rig.plane.call("POST", path, body)
    approved = {"type": "Approved", "status": "True", "reason": "test"}
    whole["status"] = {"conditions": [approved]}
    rig.plane.call("PUT", f"{path}/{user}/approval", whole)
    for _ in range(600):
        if rig.plane.call("GET", f"{path}/{user}")["status"].get("certificate"):
            return
        time.sleep(0.1)
    raise AssertionError("no certificate was issued")
