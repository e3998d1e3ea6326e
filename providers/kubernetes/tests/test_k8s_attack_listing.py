"""What the agent does so that nobody can list, or so that listing takes for ever."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, Kind
from breakglass_kubernetes.patience import AGAIN_S, FIRST_S, MOST, Patience
from breakglass_kubernetes.sandbox.api import ApiError
from providers.kubernetes.tests.planes_k8s import OWN
from providers.kubernetes.tests.rig_k8s import Rig

PLANE = OWN  # its conversions never answer
SILENT = (
    Kind("argoproj.io", "v1alpha1", "rollouts", "Rollout"),
    Kind("argoproj.io", "v1alpha1", "sensors", "Sensor"),
    Kind("argoproj.io", "v1alpha1", "eventsources", "EventSource"),
    Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),
    Kind("keda.sh", "v1alpha1", "scaledjobs", "ScaledJob"),
    Kind("serving.knative.dev", "v1", "services", "Service"),
)
ENOUGH_S = 25.0
"""One after another they take more than a minute."""


@contextmanager
def black_hole() -> Iterator[str]:
    """Return the address of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}/convert"


def define(rig: Rig, kind: Kind, url: str) -> None:
    """Make a definition whose objects are converted by the agent, and an object in the other version."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    scale = {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}
    asked = {"name": kind.version, "served": True, "storage": False, "schema": schema, "subresources": scale}
    stored = {"name": "v9", "served": True, "storage": True, "schema": schema}
    client = {"url": url, "caBundle": base64.b64encode(rig.plane.ca_pem).decode()}
    hook = {"conversionReviewVersions": ["v1"], "clientConfig": client}
    names = {
        "plural": kind.plural,
        "singular": kind.kind.lower(),
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
    }
    spec = {
        "group": kind.group,
        "names": names,
        "scope": "Namespaced",
        "versions": [asked, stored],
        "conversion": {"strategy": "Webhook", "webhook": hook},
    }
    rig.make(CUSTOM_RESOURCES, kind.name, {"spec": spec})
    other = Kind(kind.group, "v9", kind.plural, kind.kind)
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        with suppress(ApiError):
            rig.make(other, "x", {"metadata": {"labels": {"app": "bot"}}})
            return
        time.sleep(0.1)
    raise AssertionError("it is not served")


def undefine(rig: Rig, kinds: Sequence[Kind]) -> None:
    """Take the definitions away."""
    for kind in kinds:
        path = CUSTOM_RESOURCES.path("", kind.name)
        rig.plane.call(
            "PATCH",
            path,
            {"spec": {"conversion": {"strategy": "None", "webhook": None}}},
            content_type="application/merge-patch+json",
        )
        rig.plane.call("DELETE", path)


def test_definitions_whose_conversion_never_answers_hold_up_no_plan(rig: Rig) -> None:
    """They are said to be unread; every step over what can be read is proposed all the same."""
    rig.deployment()
    with black_hole() as url:
        for kind in SILENT:
            define(rig, kind, url)
        started_s = time.monotonic()
        found: Any = rig.provider().discover()
        took_s = time.monotonic() - started_s
        undefine(rig, SILENT)

    names = {one.action for one in found.proposals}
    assert {
        "kubernetes.rbac.unbind_accounts",
        "kubernetes.apps.scale_to_zero",
        "kubernetes.pods.end_pods",
    } <= names
    assert any("rollouts.argoproj.io" in one for one in found.incomplete)
    assert took_s < ENOUGH_S


def test_only_what_the_server_keeps_itself_is_waited_for_at_length() -> None:
    """One that said nothing is asked again, and believed again once it answers."""
    patience, bots, jobs = Patience(), "/apis/x.dev/v1/namespaces/a/bots", "/apis/batch/v1/namespaces/a/jobs"
    assert (10.0, 10.0) == (patience.for_(jobs, 10.0), patience.for_("/api/v1/pods", 10.0))
    assert FIRST_S == patience.for_(bots, 10.0)
    patience.heard(bots, answer=False)
    patience.heard(jobs, answer=False)
    assert (AGAIN_S, 10.0) == (patience.for_(bots, 10.0), patience.for_(jobs, 10.0))
    assert FIRST_S == patience.for_("/apis/x.dev/v1/cats", 10.0)
    patience.heard(bots, answer=True)
    assert FIRST_S == patience.for_(bots, 10.0)
    for n in range(MOST):
        patience.heard(f"/apis/x.dev/v1/k{n}", answer=False)
    assert AGAIN_S == patience.for_("/apis/y.dev/v1/cats", 10.0)
