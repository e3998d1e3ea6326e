"""The API server's audit log: what it says of the agent is kept, whatever lies in its place."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import pytest

from breakglass.clock import Instant
from breakglass.errors import Denied, Gone
from breakglass.model.resource import State
from breakglass_kubernetes.audit import Limits, Tally, Wanted, parse, read
from breakglass_kubernetes.kinds import SERVICE_ACCOUNTS
from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.planes_k8s import OWN
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal

PLANE = OWN  # its whole audit log is read
BOT = "system:serviceaccount:ns:bot"
WANTED = Wanted(users=frozenset({BOT}))
ACTION = "kubernetes.audit.collect"


def line(name: str, *, user: str = BOT, at: str = "2026-01-31T12:00:00.000001Z", **more: object) -> bytes:
    """Return an entry as the API server writes it."""
    body = {
        "auditID": name,
        "stage": "ResponseComplete",
        "verb": "get",
        "requestURI": "/api/v1/pods",
        "user": {"username": user, "groups": ["system:authenticated"]},
        "objectRef": {"resource": "pods", "namespace": "ns", "name": name, "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": at,
        "stageTimestamp": at,
    }
    return json.dumps(body | more, separators=(",", ":")).encode() + b"\n"


def names(path: Path, *, since: str = "", limits: Limits | None = None, tally: Tally | None = None) -> str:
    """Return the names of the entries that are read, in their order."""
    begin = Instant.parse(since) if since else None
    return " ".join(event.name for event in read(path, WANTED, begin, limits, tally))


def test_rotated_and_packed_files_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    """Also where the newest entry is in the file that is written now; files of before are not opened."""
    (tmp_path / "audit.log").write_bytes(line("d"))
    (tmp_path / "audit-2026-01-31T11-00-00.000.log").write_bytes(line("c"))
    with gzip.open(tmp_path / "audit-2026-01-30T11-00-00.000.log.gz", "wb") as file:
        file.write(line("b"))
    (tmp_path / "other-2026-01-31T11-00-00.000.log").write_bytes(line("a"))

    assert names(tmp_path / "audit.log") == "b c d"
    assert names(tmp_path / "audit.log", since="2026-01-31T00:00:00Z") == "c d"


def test_a_hostile_line_neither_hangs_nor_hides_the_others(tmp_path: Path) -> None:
    """One of 100 MB, no JSON, JSON too deep, a half entry: counted, and the rest is read."""
    log, tally = tmp_path / "audit.log", Tally()
    deep = b'{"username":"%s","a":' % BOT.encode() + b"[" * 100_000 + b"\n"
    log.write_bytes(
        line("a") + b"x" * 100_000_000 + b"\n" + b"\xff\x00\n" + deep + line("b") + line("c")[:-9]
    )
    before = time.monotonic()

    assert names(log, tally=tally) == "a b"
    assert time.monotonic() - before < 40
    assert (tally.overlong, tally.unreadable, tally.events) == (1, 2, 2)


def test_of_a_log_that_is_too_large_the_newest_is_read(tmp_path: Path) -> None:
    """And what was left out is said."""
    log, tally = tmp_path / "audit.log", Tally()
    log.write_bytes(b"".join(line(f"n{n}") for n in range(100)))

    assert names(log, limits=Limits(bytes=len(line("n98")) * 2 + 5), tally=tally) == "n98 n99"
    assert "oldest" in tally.left_out[0]


def test_a_small_packed_file_that_holds_very_much_ends_at_the_bound(tmp_path: Path) -> None:
    """200 MB in 200 kB: the bound is on what comes out of it."""
    (tmp_path / "audit.log").write_bytes(line("z"))
    with gzip.open(tmp_path / "audit-2026-01-31T11-00-00.000.log.gz", "wb", compresslevel=6) as file:
        for _ in range(200):
            file.write(b"\n" * 1_000_000)
    tally = Tally()

    assert names(tmp_path / "audit.log", limits=Limits(bytes=10_000_000), tally=tally) == "z"
    assert "packed file that is too large" in tally.left_out[0]


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "nothing", "device"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    """A pipe would hang, and a device would never end."""
    path = tmp_path / "audit.log"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    elif what == "device":
        path = Path("/dev/zero")

    with pytest.raises(Gone if what == "nothing" else Denied):
        list(read(path, WANTED, None))


def test_a_rotated_pipe_or_link_does_not_hang_the_reading(tmp_path: Path) -> None:
    """Beside the log lies what only looks like a rotated one."""
    (tmp_path / "audit.log").write_bytes(line("a"))
    os.mkfifo(tmp_path / "audit-2026-01-31T11-00-00.000.log")
    (tmp_path / "audit-2026-01-31T12-00-00.000.log").symlink_to("/dev/zero")
    (tmp_path / "audit-2026-01-31T13-00-00.000.log.gz").write_bytes(b"\x1f\x8b broken")
    tally = Tally()

    assert names(tmp_path / "audit.log", tally=tally) == "a"
    assert any("13-00" in words for words in tally.left_out)


def test_whoever_acts_as_the_agent_is_the_agent(tmp_path: Path) -> None:
    """Impersonated users, all accounts of its own namespaces, its groups; nobody whose name begins so."""
    log = tmp_path / "audit.log"
    acts = {"username": BOT, "groups": []}
    log.write_bytes(
        line("a", user="admin", impersonatedUser=acts)
        + line("b", user="system:serviceaccount:own:any")
        + line("c", user=f"{BOT}-2")
        + line("d", user="alice", userAgent=f'"username":"{BOT}"')
        + line("e", user="bob", impersonatedUser={"username": "x", "groups": ["bots"]})
        + line("f", user="system:serviceaccount:own-2:any")
    )
    wanted = Wanted(frozenset({BOT}), frozenset({"bots"}), frozenset({"own"}))

    assert [event.name for event in read(log, wanted, None)] == ["a", "b", "e"]


def test_an_entry_says_when_who_what_and_whether_it_was_allowed() -> None:
    """An exec that began (101) is allowed; 403 is not."""
    event = parse(line("p", responseStatus={"code": 101}))
    refused = parse(line("p", responseStatus={"code": 403}))

    assert event is not None
    assert refused is not None
    assert (event.verb, event.resource, event.namespace, event.code) == ("get", "pods", "ns", 101)
    assert event.at == Instant.parse("2026-01-31T12:00:00.000Z")
    assert event.allowed
    assert not refused.allowed


def test_the_log_of_a_real_server_is_collected_for_the_agent_alone(plane: Sandbox, rig: Rig) -> None:
    """What its token asked, also what was refused; nobody else's; contained once it is durable."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    token = rig.token("bot")
    plane.call("GET", "/version", token=token)
    with pytest.raises(ApiError):
        plane.call("GET", f"/api/v1/namespaces/{rig.namespace}/secrets", token=token)
    plane.call("GET", f"/api/v1/namespaces/{rig.namespace}/secrets")
    plane.audit()
    provider = rig.provider(
        namespace=rig.namespace,
        own_namespace=True,
        audit_log=str(plane.folder / "audit.log"),
        service_accounts=[f"{rig.namespace}/bot"],
    )
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    _prior, state = close(action, step.target)

    entries = [json.loads(one) for one in evidence(rig, state, "audit/entries.jsonl").splitlines()]
    assert {one["user"]["username"] for one in entries} == {f"system:serviceaccount:{rig.namespace}:bot"}
    assert {one["responseStatus"]["code"] for one in entries} == {200, 403}
    assert "authorization.k8s.io/decision" in json.dumps(entries)
    assert "REDACTED" not in json.dumps([one["annotations"] for one in entries])


def test_a_log_that_is_not_there_leaves_the_step_unknown(rig: Rig) -> None:
    """And says which file it was."""
    provider = rig.provider(
        namespace=rig.namespace, own_namespace=True, audit_log=str(rig.folder / "absent.log")
    )
    step, action = proposal(provider, ACTION), provider.actions[ACTION]

    with pytest.raises(Denied, match=r"absent\.log"):
        action.apply(step.target, State({}), "token")

    said = action.judge(step.target, action.observe(step.target))
    assert said.verdict.value == "unknown"
    assert "absent.log" in said.reason


def evidence(rig: Rig, state: State, ending: str) -> str:
    """Return the text of the one piece of evidence with this ending."""
    found = [
        one["path"]
        for key, one in state.objects.items()
        if isinstance(one, dict) and "path" in one and key.endswith(ending)
    ]
    assert len(found) == 1, state.objects.keys()
    return (rig.folder / "incident-0" / str(found[0])).read_text()
