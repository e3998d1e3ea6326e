"""Answers what a runner asks of the executor: to keep evidence and sealed state. Trusts nothing that it says.

Evidence of a machine lies in a folder of its own; sealed state is given back only to the machine that it
came from, or that the signed run sends it to.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from breakglass.canon import Json, spelt_out
from breakglass.errors import Denied, MalformedInput, ProviderError
from breakglass.provider import Connection
from breakglass_host.remote import codec, faults, frames
from breakglass_host.remote.allowance import Allowance
from breakglass_host.remote.frames import Message
from breakglass_host.remote.ports import PIECE, WINDOW

MAX_ASKS = 64
_MAX_SOURCE = 500
_LONGEST_NAME = 4096
"""Of a piece of evidence, its source, or what is sealed: paths."""


class Serving:
    """What is asked over one connection."""

    def __init__(self, connection: Connection, folder: str, allowance: Allowance) -> None:
        """Keep the executor's own ports."""
        self._connection = connection
        self._folder = folder
        self._allowance = allowance
        self._streams: dict[int, queue.SimpleQueue[bytes | _CutShort | None]] = {}
        self._waiting: dict[int, int] = {}
        self._asked = 0

    def hear(self, size: int) -> None:
        """Count what the machine says. Raises MalformedInput: it says too much."""
        self._allowance.hear(size, time.monotonic())

    def take(self, message: Message, reply: Callable[[Message], None]) -> None:
        """Take one message of the runner; never waits for the disk.

        Raises:
            MalformedInput: nobody of ours would ask that.
        """
        number, kind = message.get("ask"), message.get("k")
        if not isinstance(number, int):
            raise MalformedInput("an ask without a number")
        if kind == "ask":
            self._begin(number, message, reply)
            return
        stream = self._streams.get(number)
        if stream is None:
            raise MalformedInput(f"{kind!r} for what was not asked")
        if kind == "chunk":
            if self._waiting[number] >= WINDOW:
                raise MalformedInput("evidence without leave to send it")
            self._waiting[number] += 1
            stream.put(_bytes(message.get("data"), PIECE))
        else:
            del self._streams[number]
            stream.put(None if kind == "end" else _CutShort())

    def drop(self) -> None:
        """End what waits for more: the connection was cut."""
        for stream in tuple(self._streams.values()):
            stream.put(_CutShort())

    def _begin(self, number: int, message: Message, reply: Callable[[Message], None]) -> None:
        if self._asked >= MAX_ASKS or number in self._streams:
            raise MalformedInput("too many asks at once")
        match message.get("what"):
            case "evidence":
                name, source = _text(message, "name"), _text(message, "source")
                stream = self._streams[number] = queue.SimpleQueue()
                self._waiting[number] = 0
                run = partial(self._evidence, name, source, self._chunks(number, stream, reply))
            case "sealed.put":
                data = base64.b64decode(_text(message, "data", frames.MAX_MESSAGE))
                run = partial(self._seal, _text(message, "label"), data)
            case "sealed.get":
                run = partial(self._unseal, message.get("reference"))
            case other:
                raise MalformedInput(f"{str(other)[:40]!r} cannot be asked")
        self._asked += 1
        threading.Thread(target=self._answer, args=(number, run, reply), daemon=True).start()

    def _answer(self, number: int, run: Callable[[], object], reply: Callable[[Message], None]) -> None:
        try:
            told: dict[str, object] = {"ok": run()}
        except Exception as error:  # noqa: BLE001 - the runner hears of it, whatever it was
            told = {"error": faults.to_wire(error)}
        self._asked -= 1
        with contextlib.suppress(Exception):  # a connection that was cut is told by the thread that reads
            reply({"k": "told", "ask": number, **told})

    def _evidence(self, name: str, source: str, chunks: Iterator[bytes]) -> object:
        path = f"{self._folder}/{name}"
        self._allowance.item()
        shown = spelt_out(source[:_MAX_SOURCE])[:_MAX_SOURCE]
        return codec.encode(self._connection.evidence.put(path, shown, chunks))

    def _chunks(
        self,
        number: int,
        stream: queue.SimpleQueue[bytes | _CutShort | None],
        reply: Callable[[Message], None],
    ) -> Iterator[bytes]:
        while (piece := stream.get()) is not None:
            if isinstance(piece, _CutShort):
                raise ProviderError("evidence was cut short: the host sent no more", where="evidence")
            self._allowance.evidence(len(piece))
            yield piece
            self._waiting[number] -= 1
            reply({"k": "more", "ask": number})

    def _seal(self, label: str, data: bytes) -> object:
        self._allowance.seal(label, data)
        # Two machines have files of the same name: each is kept under its own.
        found = self._connection.sealed.put(f"{self._folder} {label}", data)
        self._allowance.allow(found)
        return found

    def _unseal(self, reference: object) -> object:
        commitment = reference.get("commitment") if isinstance(reference, dict) else None
        if commitment not in self._allowance.commitments:
            raise Denied("this sealed state is not of this host", where="sealed")
        found: Json = reference  # type: ignore[assignment]  # it was read from JSON; the store checks it
        return base64.b64encode(self._connection.sealed.get(found)).decode()


class _CutShort:
    """Stands in a stream where it ends too early."""


def _text(message: Message, key: str, longest: int = _LONGEST_NAME) -> str:
    value = message.get(key)
    if not isinstance(value, str) or len(value) > longest:
        raise MalformedInput(f"{key} is no text" if not isinstance(value, str) else f"{key} is too long")
    return value


def _bytes(value: object, most: int) -> bytes:
    try:
        data = base64.b64decode(value if isinstance(value, str) else "*", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput("evidence that is not base64") from error
    if len(data) > most:
        raise MalformedInput(f"a piece of {len(data)} bytes")
    return data
