"""Discovery follows what the agent's identities made, by the API server's own audit log."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from breakglass.canon import Json
from breakglass_kubernetes.discover.gather import Gathered, gather
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DEPLOYMENTS,
    PODS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    Kind,
)
from breakglass_kubernetes.whoami import whoami
from providers.kubernetes.tests.planes_k8s import OWN
from providers.kubernetes.tests.rig_k8s import Rig, template

PLANE = OWN  # its whole audit log is read
RBAC = "rbac.authorization.k8s.io"
OTHERS = {"app": "other"}


@dataclass(slots=True)
class Agent:
    """An account of the agent's that may do a lot, and its token."""

    rig: Rig
    account: str
    token: str

    def call(self, method: str, path: str, body: Any, **how: Any) -> Any:  # noqa: ANN401 - JSON
        """Act as the agent."""
        return self.rig.plane.call(method, path, body, token=self.token, **how)

    def make(self, kind: Kind, namespace: str, about: Mapping[str, Any], **body: Any) -> Any:  # noqa: ANN401 - JSON
        """Create an object as the agent."""
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": dict(about), **body}
        return self.call("POST", kind.path(namespace), whole)

    def found(self, **settings: Json) -> Gathered:
        """Discover with the audit log."""
        log = str(self.rig.plane.folder / "audit.log")
        accounts: list[Json] = [f"{self.rig.namespace}/{self.account}"]
        whole: dict[str, Json] = {"audit_log": log, "service_accounts": accounts, **settings}
        self.rig.plane.audit()  # waits until its lines are written
        provider = self.rig.provider(**whole)  # type: ignore[arg-type]  # keys of a reach
        return gather(provider.cluster, whoami(provider.cluster))


@pytest.fixture
def agent(rig: Rig) -> Agent:
    """Return an agent that may make nearly everything everywhere."""
    name = f"bot-{rig.namespace}"
    rig.make(SERVICE_ACCOUNTS, name, {})
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    rig.make(CLUSTER_ROLES, name, {"rules": everything}, namespace="-")
    body = {
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": rig.namespace}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
    }
    rig.make(CLUSTER_ROLE_BINDINGS, name, body, namespace="-")
    return Agent(rig, name, rig.token(name))


def doors(found: Gathered) -> str:
    """Return every door in words."""
    return "\n".join(f"{one.door.kind} {one.door.name}: {one.door.reason}" for one in found.proposed.doors)


def spec() -> dict[str, Any]:
    """Return a Deployment's spec that nobody selects."""
    return {"replicas": 0, "selector": {"matchLabels": OTHERS}, "template": template(labels=OTHERS)}


def test_workloads_and_pods_that_it_made_elsewhere_are_its_own(agent: Agent) -> None:
    """Without a label, in a namespace that nobody named; also those that the server named for it."""
    far = agent.rig.new_namespace(f"{agent.rig.namespace}-far")
    agent.make(DEPLOYMENTS, far, {"name": "made"}, spec=spec())
    agent.make(PODS, far, {"generateName": "worker-"}, spec=template()["spec"])
    agent.rig.make(DEPLOYMENTS, "theirs", {"spec": spec()}, namespace=far)
    apply = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"}, "spec": spec()}
    agent.call(
        "PATCH",
        DEPLOYMENTS.path(far, "applied"),
        apply,
        content_type="application/apply-patch+yaml",
        query={"fieldManager": "x"},
    )
    found = agent.found().found
    keys = {thing.key for thing in found.held.roots}
    assert {f"deployments.apps/{far}/made", f"deployments.apps/{far}/applied"} <= keys
    assert f"deployments.apps/{far}/theirs" not in keys
    assert any(key.startswith(f"pods/{far}/worker-") for key in keys)
    assert "audit log" in found.origins[f"deployments.apps/{far}/made"]


def test_an_account_that_it_made_is_its_own_and_what_that_made_too(agent: Agent) -> None:
    """Friends of friends: the log is followed until nobody new appears."""
    far = agent.rig.new_namespace(f"{agent.rig.namespace}-far")
    agent.make(SERVICE_ACCOUNTS, far, {"name": "friend"})
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": agent.account}
    friend = {"kind": "ServiceAccount", "name": "friend", "namespace": far}
    about = {"name": f"friend-{far}"}
    agent.make(CLUSTER_ROLE_BINDINGS, "", about, subjects=[friend], roleRef=role)
    second = Agent(agent.rig, "friend", agent.rig.token("friend", namespace=far))
    second.make(SERVICE_ACCOUNTS, far, {"name": "second"})
    second.make(DEPLOYMENTS, far, {"name": "late"}, spec=spec())
    gathered = agent.found()
    assert {f"{far}/friend", f"{far}/second"} <= set(gathered.found.scope.accounts)
    assert f"deployments.apps/{far}/late" in {thing.key for thing in gathered.found.held.roots}
    assert f"friend-{far}" not in doors(gathered)


def test_whom_it_bound_and_whose_tokens_it_minted_stays_a_door(agent: Agent) -> None:
    """They may act for it, and no step cuts them."""
    far = agent.rig.new_namespace(f"{agent.rig.namespace}-far")
    agent.rig.make(SERVICE_ACCOUNTS, "operator", {}, namespace=far)
    stranger: Sequence[Mapping[str, str]] = [{"kind": "User", "apiGroup": RBAC, "name": "mallory"}]
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    agent.make(ROLE_BINDINGS, far, {"name": "gift"}, subjects=stranger, roleRef=role)
    path = f"{SERVICE_ACCOUNTS.path(far, 'operator')}/token"
    agent.call("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    gathered = agent.found()
    assert "user mallory" in doors(gathered)
    assert f"token of serviceaccounts/{far}/operator" in doors(gathered)
    friends = {one.id for one in gathered.principals if one.kind == "kubernetes-friend"}
    assert f"rolebindings.{RBAC}/{far}/gift" in friends


def test_whose_workload_it_changed_or_got_into_stays_a_door(agent: Agent) -> None:
    """What it left there cannot be read off; its own are none."""
    far = agent.rig.new_namespace(f"{agent.rig.namespace}-far")
    for namespace in (far, agent.rig.namespace):
        agent.rig.make(DEPLOYMENTS, "changed", {"spec": spec()}, namespace=namespace)
        change = {"metadata": {"annotations": {"x": "y"}}}
        path = DEPLOYMENTS.path(namespace, "changed")
        agent.call("PATCH", path, change, content_type="application/merge-patch+json")
    said = doors(agent.found(namespace=agent.rig.namespace, own_namespace=True))
    assert f"deployments.apps/{far}/changed" in said
    assert f"deployments.apps/{agent.rig.namespace}/changed" not in said


def test_a_certificate_that_it_was_given_is_named_with_its_subject(agent: Agent) -> None:
    """Nothing in a cluster revokes one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sleeper")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    about = {"name": f"csr-{agent.rig.namespace}"}
    kind = Kind("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False)  # noqa: FBT003
    wanted = {"request": pem, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    asked = agent.make(kind, "", about, spec=wanted)
    assert "sleeper" not in doors(agent.found())
    asked["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "x", "message": "x"}]}
    path = kind.path("", about["name"])
    agent.rig.plane.call("PUT", f"{path}/approval", asked)
    end = time.monotonic() + 60
    while not agent.rig.plane.call("GET", path)["status"].get("certificate"):
        assert time.monotonic() < end, "the controller manager did not sign it"
        time.sleep(0.1)
    assert "CN=sleeper" in doors(agent.found())


def test_what_was_made_as_a_shared_account_is_nobodys_for_certain(agent: Agent) -> None:
    """Another user of it may have made it: it is said, and not stopped."""
    far = agent.rig.new_namespace(f"{agent.rig.namespace}-far")
    agent.rig.make(
        DEPLOYMENTS,
        "neighbour",
        {"spec": {**spec(), "template": template(labels=OTHERS, account=agent.account)}},
    )
    agent.make(DEPLOYMENTS, far, {"name": "whose"}, spec=spec())
    gathered = agent.found()
    assert gathered.found.scope.shared == (f"{agent.rig.namespace}/{agent.account}",)
    assert f"deployments.apps/{far}/whose" not in gathered.found.scope.workloads
    assert "is not known" in doors(gathered)
    assert f"deployments.apps/{far}/whose" in doors(gathered)


def test_an_audit_log_that_is_not_there_leaves_the_look_incomplete(agent: Agent) -> None:
    """The verdict is at best unknown then."""
    gathered = agent.found(audit_log=str(agent.rig.folder / "absent.log"))
    assert any("audit log" in one for one in gathered.proposed.incomplete)


def test_a_dry_run_made_nothing(agent: Agent) -> None:
    """The server answers 201 to one, too."""
    far = agent.rig.new_namespace(f"{agent.rig.namespace}-far")
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "dry"}, "spec": spec()}
    agent.call("POST", DEPLOYMENTS.path(far), body, query={"dryRun": "All"})
    agent.rig.make(DEPLOYMENTS, "dry", {"spec": spec()}, namespace=far)
    assert f"deployments.apps/{far}/dry" not in agent.found().found.scope.workloads


def test_an_agent_whose_name_no_label_can_hold_is_found_by_the_rest(rig: Rig) -> None:
    """The server would refuse every listing, and the look would never be whole."""
    provider = rig.provider()
    connection = provider.cluster.connection
    named = replace(connection.agent, name="bot@example.com/" + "x" * 80)
    provider.cluster.connection = replace(connection, agent=named)
    rig.deployment()
    found = gather(provider.cluster, whoami(provider.cluster))
    assert found.proposed.incomplete == ()
    assert found.found.held.of(DEPLOYMENTS)
