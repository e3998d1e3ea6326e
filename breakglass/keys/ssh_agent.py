"""A client for the ssh-agent protocol: list keys, ask for one signature (draft-ietf-sshm-ssh-agent).

Nothing that the socket answers is believed: sizes are capped, waits end, and a signature is verified
before it is handed on. The word agent alone means the AI agent; this one is always the ssh-agent.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from breakglass.clock import SystemClock
from breakglass.errors import NotAuthorised, Unreachable, Unsupported
from breakglass.keys import sshsig
from breakglass.keys.public_key import PublicKey
from breakglass.keys.wire import Reader, string, u32
from breakglass.model.roster import KeyStore

MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 2048
LIST_TIMEOUT_S: Final = 3.0
SIGN_TIMEOUT_S: Final = 90.0
"""A person may have to find the token, type a PIN and touch it."""

_CLOCK: Final = SystemClock()
_FAILURE: Final = 5
_REQUEST_IDENTITIES: Final = 11
_IDENTITIES_ANSWER: Final = 12
_SIGN_REQUEST: Final = 13
_SIGN_RESPONSE: Final = 14
_START_AGENT: Final = "start one and load your key: eval $(ssh-agent) && ssh-add -c"


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """Signs through the ssh-agent that holds the key."""

    key: PublicKey
    comment: str
    socket_path: str
    timeout_s: float = SIGN_TIMEOUT_S

    @property
    def public_line(self) -> str:
        """Return ``type base64`` of the key."""
        return self.key.line

    @property
    def store(self) -> KeyStore:
        """Return where the key lives: behind an ssh-agent, in a FIDO device or not."""
        return KeyStore.FIDO2 if self.key.hardware else KeyStore.SSH_AGENT

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG over `message`.

        Raises:
            NotAuthorised: the ssh-agent refused, nobody touched the device, or the answer does not verify.
            Unreachable: there is no ssh-agent any more, or it does not answer.
        """
        data = sshsig.to_be_signed(message, namespace)
        body = bytes([_SIGN_REQUEST]) + string(self.key.blob) + string(data) + u32(0)
        reader = _ask(self.socket_path, body, expected=_SIGN_RESPONSE, timeout_s=self.timeout_s)
        signature = reader.string()
        reader.end()
        armored = sshsig.build(self.key, namespace, signature)
        sshsig.verify(armored, message, namespace)
        return armored


def agent_signers(socket_path: str, timeout_s: float = SIGN_TIMEOUT_S) -> tuple[AgentSigner, ...]:
    """Return a signer for each key of the ssh-agent that breakglass can use; others are left out.

    Raises:
        Unreachable: nothing answers there.
        NotAuthorised: what answers does not speak the protocol.
    """
    reader = _ask(
        socket_path, bytes([_REQUEST_IDENTITIES]), expected=_IDENTITIES_ANSWER, timeout_s=LIST_TIMEOUT_S
    )
    if (count := reader.u32()) > MAX_KEYS:
        raise NotAuthorised(f"the ssh-agent claims to hold {count} keys", where=socket_path)
    found: dict[bytes, AgentSigner] = {}
    for _ in range(count):
        blob, comment = reader.string(), reader.string().decode("utf-8", "replace")
        try:
            key = PublicKey.from_blob(blob)
        except NotAuthorised:
            continue
        found.setdefault(blob, AgentSigner(key, comment, socket_path, timeout_s))
    reader.end()
    return tuple(found.values())


def _ask(socket_path: str, body: bytes, *, expected: int, timeout_s: float) -> Reader:
    if not hasattr(socket, "AF_UNIX"):
        raise Unsupported("no ssh-agent over a Unix socket on this platform")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(min(LIST_TIMEOUT_S, timeout_s))
            link.connect(socket_path)
            link.sendall(string(body))
            until_s = _CLOCK.monotonic_s() + timeout_s
            size = int.from_bytes(_receive(link, 4, until_s), "big")
            if not 1 <= size <= MAX_ANSWER_BYTES:
                raise NotAuthorised(f"the ssh-agent announced {size} bytes", where=socket_path)
            answer = _receive(link, size, until_s)
    except TimeoutError as error:
        raise Unreachable("the ssh-agent does not answer", where=socket_path, remedy=_START_AGENT) from error
    except OSError as error:
        raise Unreachable(
            f"no ssh-agent: {error.strerror or error}", where=socket_path, remedy=_START_AGENT
        ) from error
    if answer[0] == _FAILURE:
        raise NotAuthorised(
            "the ssh-agent refused",
            where=socket_path,
            remedy="unlock it, confirm, or touch the device; then again",
        )
    if answer[0] != expected:
        raise NotAuthorised(f"the ssh-agent answered with message {answer[0]}", where=socket_path)
    return Reader(answer[1:], "the ssh-agent's answer")


def _receive(link: socket.socket, size: int, until_s: float) -> bytes:
    """Read `size` bytes before one moment for all of them, however slowly they drip."""
    parts = bytearray()
    while len(parts) < size:
        link.settimeout(max(0.001, until_s - _CLOCK.monotonic_s()))
        part = link.recv(size - len(parts))
        if not part:
            raise NotAuthorised("the ssh-agent hung up in the middle of its answer")
        parts += part
    return bytes(parts)
