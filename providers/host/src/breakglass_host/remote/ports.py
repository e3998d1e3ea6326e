"""What an action is given on the machine that it runs on: evidence and sealed state stay with the executor.

Evidence goes out in pieces, and never more than a few of them before the executor has kept them.
"""

from __future__ import annotations

import base64
import itertools
import os
import threading
from collections.abc import Iterable

from breakglass.canon import Json, JsonObject
from breakglass.errors import Denied, ProviderError
from breakglass.provider import EvidenceItem
from breakglass_host.remote import codec, faults, frames

PIECE = 256 * 1024
WINDOW = 4
MAX_SEALED = 32 * 1024 * 1024


class Wire:
    """The way out; any number of threads may send."""

    def __init__(self, out: int) -> None:
        """Keep the descriptor."""
        self._out = out
        self._lock = threading.Lock()

    def send(self, message: frames.Message) -> None:
        """Write one message, whole. Raises MalformedInput: it is too large."""
        left = memoryview(frames.pack(message))
        with self._lock:
            while left:
                left = left[os.write(self._out, left) :]


class Asks:
    """What this side asked of the executor and waits for."""

    def __init__(self, wire: Wire) -> None:
        """Start with nothing asked."""
        self._wire = wire
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._credit: dict[int, int] = {}
        self._told: dict[int, frames.Message] = {}

    def hear(self, message: frames.Message) -> None:
        """Take an answer, or leave to send more; called by the thread that reads."""
        number = message.get("ask")
        with self._changed:
            if isinstance(number, int) and number in self._credit:
                if message.get("k") == "more":
                    self._credit[number] += 1
                else:
                    self._told[number] = message
                self._changed.notify_all()

    def ask(self, what: str, **fields: object) -> object:
        """Ask for one thing and wait. Raises what the executor's side raised."""
        return self._answer(self._open(what, fields))

    def stream(self, what: str, chunks: Iterable[bytes], **fields: object) -> object:
        """Send what `chunks` gives, piece by piece, and wait for the answer.

        Raises:
            BreakglassError: what the executor's side raised, also in the middle.
        """
        number = self._open(what, fields)
        try:
            for chunk in chunks:
                for start in range(0, len(chunk), PIECE):
                    if not self._may_send(number):
                        self._wire.send({"k": "abort", "ask": number})
                        return self._answer(number)
                    data = base64.b64encode(chunk[start : start + PIECE]).decode()
                    self._wire.send({"k": "chunk", "ask": number, "data": data})
        except BaseException:
            self._wire.send({"k": "abort", "ask": number})
            with self._changed:
                self._credit.pop(number, None)
                self._told.pop(number, None)
            raise
        self._wire.send({"k": "end", "ask": number})
        return self._answer(number)

    def _open(self, what: str, fields: dict[str, object]) -> int:
        with self._changed:
            number = next(self._numbers)
            self._credit[number] = WINDOW
        self._wire.send({"k": "ask", "ask": number, "what": what, **fields})
        return number

    def _may_send(self, number: int) -> bool:
        """Wait for leave; False: it was answered before the end, so it was refused."""
        with self._changed:
            self._changed.wait_for(lambda: self._credit[number] > 0 or number in self._told)
            self._credit[number] -= 1
            return number not in self._told

    def _answer(self, number: int) -> object:
        with self._changed:
            self._changed.wait_for(lambda: number in self._told)
            del self._credit[number]
            found = self._told.pop(number)
        if "error" in found:
            raise faults.from_executor(found["error"])
        return found.get("ok")


class SentEvidence:
    """The executor's evidence folder, from here."""

    def __init__(self, asks: Asks) -> None:
        """Keep the way to ask."""
        self._asks = asks

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Send a piece of evidence; durable on return. Raises ProviderError: the executor's disk refused."""
        found = self._asks.stream("evidence", chunks, name=name, source=source)
        return codec.decode(EvidenceItem, found, "evidence")


class SentSealed:
    """The executor's sealed store, from here: what it keeps never lies on this machine's disk."""

    def __init__(self, asks: Asks) -> None:
        """Keep the way to ask."""
        self._asks = asks

    def put(self, label: str, data: bytes) -> JsonObject:
        """Keep the bytes there. Raises ProviderError: they are too many, or the disk refused."""
        if len(data) > MAX_SEALED:
            raise ProviderError(f"{len(data)} bytes are more than can be kept of one object", where="sealed")
        found = self._asks.ask("sealed.put", label=label, data=base64.b64encode(data).decode())
        if not isinstance(found, dict):
            raise ProviderError("the sealed store gave no reference", where="sealed")
        return found

    def get(self, reference: Json) -> bytes:
        """Return the bytes of a reference. Raises RecordDamaged when they are not the ones that were kept."""
        return base64.b64decode(str(self._asks.ask("sealed.get", reference=reference)))


class NoSecrets:
    """Credentials of the executor are never sent to a machine that an agent lives on."""

    def secret(self, name: str) -> bytes:
        """Refuse. Raises Denied."""
        raise Denied(f"secret {name[:80]!r} stays with the executor")
