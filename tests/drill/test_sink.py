"""The sink honours tokens until they are revoked, and stamps what arrives."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from http.client import HTTPConnection
from pathlib import Path

import pytest

from breakglass.clock import Instant
from breakglass.drill.sink import ALERT, ARRIVALS
from breakglass.drill.truth import ArrivalLog, last_effects, read_arrivals
from breakglass.errors import RecordDamaged
from breakglass_oauth.sandbox import AGENT_CLIENT, REVOKER, Sandbox


def as_revoker(sink: Sandbox, path: str, **form: str) -> tuple[int, dict[str, object]]:
    basic = base64.b64encode(f"{REVOKER}:{sink.revoker_secret}".encode()).decode()
    return sink.call("POST", path, urllib.parse.urlencode(form).encode(), f"Basic {basic}")


def wait_for(path: Path, seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < ends:
        time.sleep(0.02)


def test_a_token_is_honoured_until_it_is_revoked(sink: Sandbox) -> None:
    """An effect is done with a live token and refused with 401 after its revocation."""
    token = sink.mint()["access_token"]

    assert sink.effect("tickets", token) == 200
    assert as_revoker(sink, "/introspect", token=token)[1]["active"] is True
    assert as_revoker(sink, "/revoke", token=token)[0] == 200
    assert sink.effect("tickets", token) == 401
    assert as_revoker(sink, "/introspect", token=token)[1] == {"active": False}
    assert [True, False] == [arrival.allowed for arrival in read_arrivals(sink.folder / ARRIVALS)]


def test_revoking_a_refresh_token_ends_its_access_token(sink: Sandbox) -> None:
    """RFC 7009 2.1: the tokens of the same grant end with the refresh token."""
    pair = sink.mint()
    as_revoker(sink, "/revoke", token=pair["refresh_token"])

    assert sink.effect("tickets", pair["access_token"]) == 401


def test_a_refresh_token_is_traded_once(sink: Sandbox) -> None:
    """A refresh gives a new pair; the old refresh token is refused afterwards."""
    pair = sink.mint()
    form = {
        "grant_type": "refresh_token",
        "refresh_token": pair["refresh_token"],
        "client_id": AGENT_CLIENT,
        "client_secret": sink.agent_secret,
    }
    body = urllib.parse.urlencode(form).encode()

    assert sink.call("POST", "/token", body)[0] == 200
    assert sink.call("POST", "/token", body)[0] == 400


def test_disabling_the_client_ends_every_token_and_the_minting(sink: Sandbox) -> None:
    """Tokens that were minted behind our back end too, and enabling again revives none of them."""
    first, second = sink.mint()["access_token"], sink.mint()["access_token"]

    assert as_revoker(sink, f"/admin/clients/{AGENT_CLIENT}/disable")[0] == 200
    assert [401, 401] == [sink.effect("tickets", token) for token in (first, second)]
    assert sink.call("POST", "/token", b"grant_type=client_credentials")[0] == 401
    assert as_revoker(sink, f"/admin/clients/{AGENT_CLIENT}/enable")[0] == 200
    assert sink.effect("tickets", first) == 401
    assert sink.effect("tickets", sink.mint()["access_token"]) == 200


def test_the_agent_can_neither_introspect_nor_switch(sink: Sandbox) -> None:
    """Only the revoker's credential works at the administrative endpoints."""
    token = sink.mint()["access_token"]
    basic = "Basic " + base64.b64encode(f"{AGENT_CLIENT}:{sink.agent_secret}".encode()).decode()

    for path in ("/introspect", f"/admin/clients/{AGENT_CLIENT}/disable", "/admin/faults"):
        assert sink.call("POST", path, f"token={token}".encode(), basic)[0] == 401


def test_a_held_request_is_judged_chunk_by_chunk(sink: Sandbox) -> None:
    """A long POST streams effects; the first chunk after the revocation is refused and ends it."""
    token = sink.mint()["access_token"]
    address = urllib.parse.urlsplit(sink.issuer)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
    connection.putrequest("POST", "/effect/feed")
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(3):
        connection.send(b"2\r\nhi\r\n")
    while len(read_arrivals(sink.folder / ARRIVALS)) < 3:
        time.sleep(0.01)
    as_revoker(sink, "/revoke", token=token)
    connection.send(b"2\r\nhi\r\n")

    assert connection.getresponse().status == 401
    connection.close()
    assert [True, True, True, False] == [a.allowed for a in read_arrivals(sink.folder / ARRIVALS)]


def test_a_raw_stream_is_judged_line_by_line(sink: Sandbox) -> None:
    """The stream listener takes effects until the token is revoked, then says 401 and closes."""
    token = sink.mint()["access_token"]
    with socket.create_connection(sink.stream, timeout=5) as stream:
        opening = json.dumps({"token": token, "channel": "wire", "by": "test"}).encode()
        stream.sendall(opening + b"\nx\nx\n")
        while len(read_arrivals(sink.folder / ARRIVALS)) < 2:
            time.sleep(0.01)
        as_revoker(sink, "/revoke", token=token)
        stream.sendall(b"x\n")

        assert stream.recv(16) == b"401\n"
    truth = last_effects(sink.folder / ARRIVALS)
    assert [("wire", 2)] == [(channel.channel, channel.count) for channel in truth]


def test_no_effect_is_allowed_after_a_revocation_was_answered(sink: Sandbox) -> None:
    """The stamp and the check are one step: the truth never lies after the answer."""
    token = sink.mint()["access_token"]
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sink.effect("tickets", token)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(0.3)
    as_revoker(sink, "/revoke", token=token)
    answered_us = time.monotonic_ns() // 1000
    time.sleep(0.2)
    stop.set()
    for worker in workers:
        worker.join()
    (truth,) = last_effects(sink.folder / ARRIVALS)

    assert truth.monotonic_us <= answered_us
    assert truth.count > 0


def test_the_tripwire_writes_the_alert_at_the_first_forbidden_effect(sink: Sandbox) -> None:
    """alert.json carries when the harm began and when it was noticed; a refused attempt is no alert."""
    sink.effect("exfiltrate", "not-a-token")
    sink.effect("tickets", sink.mint()["access_token"])
    time.sleep(0.3)
    assert not (sink.folder / ALERT).exists()
    sink.effect("exfiltrate", sink.mint()["access_token"])
    wait_for(sink.folder / ALERT)
    alert = json.loads((sink.folder / ALERT).read_bytes())
    began = Instant.parse(alert["started_at"])

    assert {"v", "agent", "source", "started_at", "detected_at", "what"} == set(alert)
    assert (1, AGENT_CLIENT, "tripwire") == (alert["v"], alert["agent"], alert["source"])
    assert 0 <= Instant.parse(alert["detected_at"]).seconds_since(began) < 3
    assert began == read_arrivals(sink.folder / ARRIVALS)[-1].at


def test_the_truth_counts_honoured_effects_only(tmp_path: Path) -> None:
    """A refused arrival after the last honoured one does not move the truth; a torn line is left out."""
    path = tmp_path / ARRIVALS
    log = ArrivalLog(path)
    log.stamp("b", allowed=True, who="x", by="")
    last = log.stamp("a", allowed=True, who="x", by="")
    log.stamp("a", allowed=False, who="x", by="")
    log.close()
    with path.open("ab") as file:
        file.write(b'{"allowed":true')
    truth = last_effects(path)

    assert ["a", "b"] == [channel.channel for channel in truth]
    assert (last.at, last.monotonic_us, 1) == (truth[0].last_effect_at, truth[0].monotonic_us, truth[0].count)


def test_a_damaged_truth_is_an_error(tmp_path: Path) -> None:
    """A line that is not an arrival must not be skipped: it could be the last effect."""
    path = tmp_path / ARRIVALS
    path.write_bytes(b"nonsense\n")

    with pytest.raises(RecordDamaged, match="not an arrival"):
        last_effects(path)


def test_listening_sockets_can_be_inherited(tmp_path: Path) -> None:
    """The director makes the sockets, in whichever network namespace, and passes them on."""
    reader, writer = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("127.0.0.1", 0)) as stream:
        config = {
            "v": 1,
            "agent": "bot",
            "folder": str(tmp_path),
            "http": [{"name": "agent", "fd": http.fileno()}, {"name": "executor"}],
            "stream": [{"name": "agent", "fd": stream.fileno()}],
            "clients": [{"client_id": "bot", "client_secret": "s"}],
            "lifeline_fd": reader,
        }
        (tmp_path / "c.json").write_text(json.dumps(config))
        process = subprocess.Popen(
            [sys.executable, "-m", "breakglass.drill.sink", "--config", str(tmp_path / "c.json")],
            pass_fds=[http.fileno(), stream.fileno(), reader],
        )
        expected = {http.getsockname()[1], stream.getsockname()[1]}
    os.close(reader)
    try:
        wait_for(tmp_path / "ready.json")
        found = json.loads((tmp_path / "ready.json").read_bytes())

        assert expected <= {item["port"] for item in found["listening"]}
        connection = HTTPConnection("127.0.0.1", min(expected), timeout=5)
        connection.close()
    finally:
        os.close(writer)
    assert process.wait(5) == 0


def test_a_wrong_configuration_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """The sink is a program: bad input is said, not thrown."""
    path = tmp_path / "c.json"
    path.write_text('{"v": 1, "agent": "bot"}')
    done = subprocess.run(
        [sys.executable, "-m", "breakglass.drill.sink", "--config", str(path)],
        capture_output=True,
        check=False,
        text=True,
    )

    assert done.returncode == 2
    assert str(path) in done.stderr
    assert done.stderr.count("\n") == 1
