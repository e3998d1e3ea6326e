"""The pure rules of the stub: which node takes a pod, which lines of a log are answered."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from breakglass_kubernetes.sandbox import log_lines, pod_life, scheduling

NODE = {
    "metadata": {"name": "n1", "labels": {"zone": "a", "cores": "8"}},
    "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
}
BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LINES = log_lines.dated(["one", "two", "three"], BEGAN)


def _pod(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    tolerated = {"tolerations": [{"key": "gpu", "operator": "Exists"}]}
    return {"metadata": {"name": "p"}, "spec": {**tolerated, **spec}}


def _affinity(**term: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"nodeAffinity": required}


@pytest.mark.parametrize(
    ("expected", "spec"),
    [
        (True, {}),
        (True, {"nodeSelector": {"zone": "a"}}),
        (False, {"nodeSelector": {"zone": "b"}}),
        (False, {"tolerations": []}),
        (True, {"tolerations": [{"operator": "Exists"}]}),
        (True, {"tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}),
        (False, {"tolerations": [{"key": "gpu", "value": "no"}]}),
        (False, {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]}),
    ],
)
def test_selectors_and_taints_decide(expected: bool, spec: dict[str, Any]) -> None:  # noqa: FBT001 - a table
    """As the scheduler's documentation says."""
    assert expected is scheduling.fits(_pod(**spec), NODE)


@pytest.mark.parametrize(
    ("expected", "key", "operator", "values"),
    [
        (True, "zone", "In", ["a", "b"]),
        (False, "zone", "NotIn", ["a"]),
        (True, "none", "NotIn", ["a"]),
        (True, "zone", "Exists", []),
        (True, "none", "DoesNotExist", []),
        (True, "cores", "Gt", ["4"]),
        (False, "cores", "Lt", ["4"]),
        (False, "zone", "Gt", ["4"]),
    ],
)
def test_required_affinity_decides(
    expected: bool,  # noqa: FBT001 - a table
    key: str,
    operator: str,
    values: list[str],
) -> None:
    """Each operator, by label."""
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}

    assert expected is scheduling.fits(_pod(affinity=_affinity(**term)), NODE)


def test_a_daemon_sets_pod_goes_to_the_node_that_it_names() -> None:
    """And a term that asks nothing matches nothing."""

    def named(name: str) -> dict[str, Any]:
        return _affinity(matchFields=[{"key": "metadata.name", "operator": "In", "values": [name]}])

    assert scheduling.fits(_pod(affinity=named("n1")), NODE)
    assert not scheduling.fits(_pod(affinity=named("n2")), NODE)
    assert not scheduling.fits(_pod(affinity=_affinity()), NODE)


@pytest.mark.parametrize(
    "spec", [{"nodeName": "n1"}, {"schedulingGates": [{"name": "g"}]}, {"schedulerName": "other"}]
)
def test_not_every_pod_is_the_default_schedulers(spec: dict[str, Any]) -> None:
    """One that has a node, is gated, or asked for another scheduler is left alone."""
    assert scheduling.waits(_pod())
    assert not scheduling.waits(_pod(**spec))


@pytest.mark.parametrize(
    ("expected", "asked"),
    [
        (b"one\ntwo\nthree\n", {}),
        (b"three\n", {"tailLines": "1"}),
        (b"", {"tailLines": "0"}),
        (b"on", {"limitBytes": "2"}),
        (b"two\nthree\n", {"sinceTime": "2026-01-01T00:00:01Z"}),
        (b"three\n", {"sinceSeconds": "8"}),
        (b"2026-01-01T00:00:02.000000000Z three\n", {"timestamps": "true", "tailLines": "1"}),
    ],
)
def test_log_parameters_are_honoured(expected: bytes, asked: dict[str, str]) -> None:
    """Ten seconds after the first line."""
    assert expected == log_lines.answered(LINES, asked, BEGAN + dt.timedelta(seconds=10))


def test_an_annotation_that_makes_no_sense_is_ignored() -> None:
    """A test that misspells one sees an ordinary pod."""
    annotations = {pod_life.RESTARTS: "many", pod_life.COMPLETES_AFTER: "soon"}

    assert pod_life.Behaviour() == pod_life.behaviour({"metadata": {"annotations": annotations}})
