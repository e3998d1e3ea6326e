"""Runs on the machine that an agent lives on: takes calls from the executor, and lives no longer than it.

It ends like a killed process, at once and with all that it started, when its connection ends or is silent:
every action survives that (DESIGN 1.3), and two runners must never act side by side.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from breakglass.canon import Json
from breakglass.clock import Instant, SystemClock
from breakglass.errors import ProviderError
from breakglass.model.plan import Step
from breakglass.model.resource import AgentRef, Reach, Resource, State
from breakglass.provider import Connection
from breakglass_host.connect import LocalHost
from breakglass_host.remote import codec, faults, frames, own_login
from breakglass_host.remote.ports import Asks, NoSecrets, SentEvidence, SentSealed, Wire
from breakglass_host.remote.succession import Succession, name_of

SILENCE_S = 15.0
"""The executor says something every four seconds."""
MAX_WORKERS = 16
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Begin:
    """What the executor says of the connection; its own secrets are not among it."""

    agent: AgentRef
    incident: str
    drill: bool
    settings: Mapping[str, Json]
    where: str
    since_ms: int | None
    """On this machine's own clock."""
    identity: str
    takes_over: bool
    """Another runner of this very run was cut off while it may have been changing something."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the executor."""

    id: int
    verb: str
    action: str
    args: Mapping[str, Json]


class Runner:
    """One connection."""

    def __init__(self, wire: Wire) -> None:
        """Do nothing yet."""
        self._wire = wire
        self._asks = Asks(wire)
        self._pool = ThreadPoolExecutor(MAX_WORKERS)
        self._host: LocalHost | None = None
        self._succession: Succession | None = None
        self._settings: Mapping[str, Json] = {}
        self._incident = ""
        self._running: set[int] = set()
        self._heard_s = time.monotonic()

    def serve(self, stream: BinaryIO) -> None:
        """Read until the connection ends; return only when the executor said goodbye."""
        incoming = frames.Frames()
        threading.Thread(target=self._watch, daemon=True).start()
        while data := stream.read1(_READ):  # type: ignore[attr-defined]  # a buffered reader has it
            self._heard_s = time.monotonic()
            for one in incoming.feed(data):
                message = frames.unpack(one)
                if message.get("k") == "bye":
                    return
                self._take(message)

    def _watch(self) -> None:
        while time.monotonic() - self._heard_s < SILENCE_S:
            time.sleep(1.0)
        end()

    def _take(self, message: frames.Message) -> None:
        match message.get("k"):
            case "ping":
                self._wire.send({"k": "pong"})
            case "hello":
                now_ms = SystemClock().now().epoch_ms
                self._wire.send({"k": "hello", "at_ms": now_ms})
            case "begin":
                self._begin(codec.decode(Begin, message.get("of"), "begin"))
            case "call":
                call = codec.decode(Call, message.get("of"), "call")
                self._running.add(call.id)
                self._pool.submit(self._carry_out, call)
            case "more" | "told":
                self._asks.hear(message)
            case other:
                raise ProviderError(f"unknown message {other!r}")

    def _begin(self, begin: Begin) -> None:
        connection = Connection(
            reach=Reach("host", begin.settings, begin.where),
            agent=begin.agent,
            incident=begin.incident,
            drill=begin.drill,
            clock=SystemClock(),
            evidence=SentEvidence(self._asks),
            sealed=SentSealed(self._asks),
            credentials=NoSecrets(),
            since=None if begin.since_ms is None else Instant(begin.since_ms),
        )
        self._settings, self._incident = begin.settings, begin.incident
        self._host = LocalHost(connection)
        self._succession = Succession(name_of(begin.identity.encode()), end)
        if begin.takes_over:  # what is read from now on must not be half of a change that still goes on
            self._succession.take()

    def _carry_out(self, call: Call) -> None:
        answer: dict[str, object]
        try:
            answer = {"ok": codec.encode(self._do(call))}
        except Exception as error:  # noqa: BLE001 - whatever it was, the executor hears of it
            answer = {"error": faults.to_wire(error)}
        self._running.discard(call.id)
        try:
            self._wire.send({"k": "answer", "id": call.id, **answer})
        except OSError:
            end()
        except Exception as error:  # noqa: BLE001 - an answer that cannot travel is a refusal, not a silence
            self._wire.send({"k": "answer", "id": call.id, "error": faults.to_wire(error)})

    def _do(self, call: Call) -> object:
        if self._host is None or self._succession is None:
            raise ProviderError("called before the connection began")
        host, args = self._host, call.args
        if call.verb == "discover":
            return own_login.warned(host.discover(), self._settings, self._incident)
        if call.verb == "preflight":
            return host.preflight(_argument(tuple[Step, ...], args, "steps"))
        if call.verb == "read_file":
            path, most = _argument(str, args, "path"), _argument(int, args, "max_bytes")
            return base64.b64encode(host.read_file(path, max_bytes=most)).decode()
        action, target = host.actions[call.action], _argument(Resource, args, "resource")
        match call.verb:
            case "observe":
                return action.observe(target)
            case "probe":
                return action.probe(target)
            case "apply":
                before, token = _argument(State, args, "before"), _argument(str, args, "token")
                self._succession.take()
                action.apply(target, before, token)
                return None
            case "revert":
                before, now = _argument(State, args, "before"), _argument(State, args, "now")
                self._succession.take()
                return action.revert(target, before, now)
        raise ProviderError(f"unknown verb {call.verb!r}")

    @property
    def idle(self) -> bool:
        """Return whether no call is being carried out."""
        return not self._running

    def close(self) -> None:
        """Let go of what the provider holds."""
        if self._host is not None:
            self._host.close()


def _argument(hint: Any, args: Mapping[str, Json], name: str) -> Any:  # noqa: ANN401 - as the hint says
    return codec.decode(hint, args.get(name), name)


def end() -> NoReturn:
    """End at once, with every program that was started: like a crash, which every action survives."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _stand_firm() -> None:
    """Be the last to be killed where memory ends, and early on the processor: an agent may use up both."""
    with contextlib.suppress(OSError):  # only root may
        Path("/proc/self/oom_score_adj").write_text("-900")
        os.setpriority(os.PRIO_PROCESS, 0, -10)


def main(stream: BinaryIO, out: int) -> NoReturn:
    """Serve one connection and end."""
    try:
        os.setsid()
    except PermissionError:
        if os.getpgrp() != os.getpid():  # a session of our own is what makes `end` reach all that we started
            raise
    _stand_firm()
    runner = Runner(Wire(out))
    try:
        runner.serve(stream)
        if runner.idle:
            runner.close()
            os._exit(0)
    except Exception as error:  # noqa: BLE001 - the last words, for whoever reads what ssh shows
        sys.stderr.write(f"runner: {type(error).__name__}: {error}\n")
    end()
