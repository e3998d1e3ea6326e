"""The executor's own way in: absent, over, of another cluster, or it ends in the middle of a stop."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import Unreachable
from breakglass.journal.reader import read_sealed
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass.usecases.contain import finish, open_signed
from breakglass_kubernetes.sandbox.process import start
from providers.kubernetes.tests.rig_k8s import peace_ends
from tests.hosts.executors import make_plan
from tests.hosts.fleet import give, quick_fleet, quiet
from tests.kubernetes.cluster_fleet import EXECUTOR, GROUP, USER, Cluster, cluster_fleet, said
from tests.kubernetes.herd_k8s import side_by_side
from tests.kubernetes.troubled_cluster import (
    UNCHANGED,
    Once,
    differences,
    forget_executor,
    lay_out,
    running,
    step_of,
    writes,
)


@pytest.fixture
def dead_ports() -> Iterator[tuple[int, int]]:
    """Return a port where nobody listens, and one where somebody accepts and never answers."""
    with socket.socket() as refuses, socket.socket() as silent:
        for one in (refuses, silent):
            one.bind(("127.0.0.1", 0))
        silent.listen(64)
        yield int(refuses.getsockname()[1]), int(silent.getsockname()[1])


def test_clusters_that_do_not_answer_are_not_planned_in_time_and_the_other_is_stopped(
    cluster: Cluster, dead_ports: tuple[int, int]
) -> None:
    """Each is named before anybody signs; what answers is contained, and the whole is unknown."""
    lay_out(cluster)
    good = cluster.plane.kubeconfig(USER, (GROUP,))
    cluster.make_executor()
    dead = [f"https://127.0.0.1:{port}" for port in dead_ports]
    for n, server in enumerate(dead):
        cluster.held[f"dead-{n}"] = good.replace(cluster.plane.server.encode(), server.encode())
    reaches = [cluster.reach(server=server, credential=f"dead-{n}") for n, server in enumerate(dead)]
    planned_s: list[float] = []
    with quick_fleet([*reaches, cluster.reach()], cluster.held) as ours:
        began_s = time.monotonic()
        plan, done = ours.stop(planned=lambda _: planned_s.append(time.monotonic() - began_s))

    assert 30 > planned_s[0]
    assert sorted(dead) == sorted(one.scope for one in plan.not_planned), plan.not_planned
    assert (Verdict.UNKNOWN, 4) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)
    assert ["not_planned"] * 2 == [one.kind for one in done.report.open], said(done.report)
    assert 0 == running(cluster)


@pytest.mark.parametrize("how", ["no plug-in answers", "a certificate that is over", "nobody's token"])
def test_without_good_credentials_nothing_is_planned(cluster: Cluster, tmp_path: Path, how: str) -> None:
    """There is nothing to sign, nothing is changed, and it is said why."""
    lay_out(cluster)
    plane = cluster.plane
    with cluster_fleet(cluster) as ours:
        before = cluster.listing()
        data, word = {
            "no plug-in answers": (
                _plugin(cluster, tmp_path / "plug-in", "import time; time.sleep(60)"),
                "gave no answer in",
            ),
            "a certificate that is over": (plane.kubeconfig(USER, (GROUP,), valid_s=-60), "expired at"),
            "nobody's token": (plane.token_kubeconfig(USER, "guess"), "is refused (401)"),
        }[how]
        give(ours, EXECUTOR, data)
        began_s = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            ours.stop()

    assert 69 == caught.value.exit_code
    assert word in str(caught.value), str(caught.value)
    assert 20 > time.monotonic() - began_s
    assert UNCHANGED == differences(before, cluster.listing())


def test_a_certificate_that_ends_in_the_middle_is_asked_for_and_a_new_one_lets_the_stop_go_on(
    cluster: Cluster,
) -> None:
    """Nothing is lost: the steps wait, and end contained once somebody laid a new one there."""
    lay_out(cluster)
    with cluster_fleet(cluster, step_s=45) as ours:
        before, began = cluster.listing(), peace_ends()
        give(ours, EXECUTOR, cluster.plane.kubeconfig(USER, (GROUP,), valid_s=8))

        def renew() -> None:
            time.sleep(2)
            give(ours, EXECUTOR, cluster.plane.kubeconfig(USER, (GROUP,)))

        renewal = Once(renew, stage="retry")
        asked: list[str] = []

        def saw(event: Any) -> None:  # noqa: ANN401 - StepEvent
            renewal.saw(event)
            if "renew it" in event.detail:
                asked.append(event.detail)

        def planned(plan: Plan) -> None:
            renewal.planned(plan)
            time.sleep(6)

        _, done = ours.stop(began=began, observer=saw, planned=planned)
        renewal.end()
        assert any("certificate expired at" in one for one in asked), asked[:3]
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    assert UNCHANGED == differences(before, cluster.listing())


def test_a_credential_that_ends_for_good_leaves_the_stop_unknown_within_its_time(
    agents: Callable[[], Cluster], tmp_path: Path
) -> None:
    """What could not be read is not claimed; the time of a step bounds it, whatever hangs.

    Two agents at once: nobody renews the one's certificate, and the plug-in of the other hangs.
    """
    both = {"nobody renews it": agents(), "its plug-in hangs": agents()}
    for one in both.values():
        lay_out(one)
    side_by_side(both.items(), lambda item: _ends_for_good(item[1], tmp_path, item[0]))


def _ends_for_good(cluster: Cluster, folder: Path, then: str) -> None:
    with cluster_fleet(cluster, step_s=5) as ours:
        short = cluster.plane.kubeconfig(USER, (GROUP,), valid_s=8)
        if "plug-in" in then:
            short = _plugin(cluster, folder / "plug-in", _HANGS_LATER, short=short)
        give(ours, EXECUTOR, short)
        began_s = time.monotonic()
        _, done = ours.stop(planned=lambda _: time.sleep(max(0.0, began_s + 7.5 - time.monotonic())))
        passed_s = time.monotonic() - began_s
        rounds = [one for one in read_sealed(ours.incident.path).records if one.type == "step.intent"]

    words = f"{then}: {said(done.report)}"
    assert Verdict.CONTAINED is not done.report.verdict, words
    assert Verdict.UNKNOWN is step_of(done.report, "end_pods").verdict, words
    again = [one.reason for one in done.report.open if one.kind == "not_looked_again"]
    assert 1 == len(again), f"{then}: {again}"
    assert 100 > len(rounds), f"{then}: a step that cannot read goes round and round"
    assert 60 > passed_s, then


@pytest.fixture
def twin(cluster: Cluster) -> Iterator[Cluster]:
    """Return another cluster, with an agent of the same names and the same executor."""
    other = start()
    try:
        made = Cluster(other, cluster.namespace)
        other.make_namespace(made.namespace)
        lay_out(made)
        made.make_executor()
        yield made
    finally:
        other.close()


def test_a_signed_plan_is_never_carried_out_in_another_cluster(cluster: Cluster, twin: Cluster) -> None:
    """Whoever swaps the kubeconfig, before or in the middle, moves the stop nowhere."""
    lay_out(cluster)
    wrong = twin.plane.kubeconfig(USER, (GROUP,))
    before = twin.listing()
    with cluster_fleet(cluster, step_s=6) as ours:
        make_plan(ours)
        untouched = cluster.listing()
        give(ours, EXECUTOR, wrong)
        place = ours.grounds.operator / "request"
        opened = open_signed(ours.site, place / "plan.json", sorted(place.glob("*.sig")), None)
        try:
            assert ["and the plan means" in one.what for one in opened.connected.failures.values()] == [True]
            done = finish(opened, {}, observer=quiet, cancelled=lambda: False)
        finally:
            opened.close()
        assert UNCHANGED == differences(untouched, cluster.listing())
    assert (Verdict.UNKNOWN, 4) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)

    forget_executor(cluster)
    with cluster_fleet(cluster, step_s=5) as ours:
        give(ours, EXECUTOR, cluster.plane.kubeconfig(USER, (GROUP,), valid_s=8))
        began_s = time.monotonic()

        def swap(_plan: Plan) -> None:
            give(ours, EXECUTOR, wrong)
            time.sleep(max(0.0, began_s + 7.5 - time.monotonic()))

        _, done = ours.stop(planned=swap)
    assert Verdict.CONTAINED is not done.report.verdict, said(done.report)
    assert Verdict.UNKNOWN is step_of(done.report, "end_pods").verdict, said(done.report)
    assert UNCHANGED == differences(before, twin.listing())
    assert [] == writes(twin.plane)


_HANGS_LATER = """
import pathlib, sys, time
mark = pathlib.Path(sys.argv[1])
if mark.exists():
    time.sleep(600)
mark.touch()
print(pathlib.Path(sys.argv[2]).read_text())
"""


def _plugin(cluster: Cluster, stem: Path, program: str, *, short: bytes = b"") -> bytes:
    """Return a kubeconfig whose user asks a program that shows the certificate of `short`."""
    script, mark, shown = (stem.with_suffix(suffix) for suffix in (".py", ".mark", ".json"))
    script.write_text(program, encoding="utf-8")
    if short:
        import base64

        user = json.loads(short)["users"][0]["user"]
        status = {
            "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
        }
        body = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        shown.write_text(json.dumps(body), encoding="utf-8")
        shown.chmod(0o600)
    whole = json.loads(cluster.plane.token_kubeconfig(USER, "none"))
    entry = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(script), str(mark), str(shown)],
        "interactiveMode": "Never",
    }
    whole["users"][0]["user"] = {"exec": entry}
    return json.dumps(whole).encode()
