"""Connects to another machine: the same provider as on this one, whose verbs are carried out there.

What the machine answers is decoded strictly, and judged here: `judge` is pure and never asked of a machine
that an agent lives on.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from breakglass.canon import JsonObject, canonical, spelt_out
from breakglass.errors import Denied, MalformedInput, ProviderError, Unreachable
from breakglass.model.action import ActionSpec, Judgement
from breakglass.model.plan import Step
from breakglass.model.resource import Resource, State
from breakglass.provider import Action, Budget, Connection, Discovery, Finding, Reversal
from breakglass.shape import encode as plain
from breakglass_host import parts
from breakglass_host.remote import codec, rewrite
from breakglass_host.remote.address import Address, parse_address, parse_host_key
from breakglass_host.remote.allowance import Allowance
from breakglass_host.remote.bundle import Bundle, bundle
from breakglass_host.remote.link import Cut, Link
from breakglass_host.remote.opening import open_link
from breakglass_host.remote.serving import Serving
from breakglass_host.remote.session import Session
from breakglass_host.remote.ssh import Target

T = TypeVar("T")

_Probed: Any = Judgement | None
CONNECT_WITHIN_S = 20.0
"""Much more than one machine needs; dozens that start at once on few processors need that."""
_OURS = ("host_key", "ssh_config", "without_sudo")
"""Settings that are about the way to the machine, and none of its business."""


def target_of(settings: JsonObject) -> Target:
    """Read the settings that say where the machine is. Raises MalformedInput."""
    address, key = parse_address(str(settings.get("host"))), parse_host_key(str(settings.get("host_key")))
    config = settings.get("ssh_config")
    return Target(
        address, key, config if isinstance(config, str) else "", settings.get("without_sudo") is True
    )


class RemoteHost:
    """Another machine, over ssh."""

    def __init__(self, connection: Connection, *, within_s: float = CONNECT_WITHIN_S) -> None:
        """Connect.

        Raises:
            Denied: the runner is not the one that the signed plan names, the host key is not the pinned
                one, or the login or sudo is refused.
            Unreachable: the machine does not answer, or cannot run it.
        """
        self._connection = connection
        self._program = bundle()
        self._target = target_of(connection.reach.settings)
        _require_planned(connection, self._program)
        self._allowance = Allowance()
        self._ahead_s = 0.0
        self._session = Session(self._open, self.address.bare, within_s=within_s)
        made = (
            _RemoteAction(self._session, self._allowance, cls(connection)) for cls in parts.ACTION_CLASSES
        )
        self._actions: dict[str, Action] = {action.spec.name: action for action in made}

    @property
    def address(self) -> Address:
        """Return where it is."""
        return self._target.address

    @property
    def session(self) -> Session:
        """Return the connection, over all cuts."""
        return self._session

    @property
    def clock_ahead_s(self) -> float:
        """Return by how much the machine's clock is ahead of the executor's; negative: behind."""
        return self._ahead_s

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
        return self._actions

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return no budgets: a kernel does not throttle."""
        return {}

    def discover(self) -> Discovery:
        """Find the tree and all that hangs on it, there."""
        found = _ask(self._session, "discover", "", {}, Discovery)
        settings = self._connection.reach.settings
        named = rewrite.at_host(found, self.address, settings, runner=self._program.sha256)
        notice = rewrite.clock_notice(self.address, self._ahead_s)
        return replace(named, not_touched=(*named.not_touched, *notice))

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Refuse what would stop a neighbour there, and say which right is missing."""
        args = {"steps": codec.encode(tuple(steps))}
        found = _ask(self._session, "preflight", "", args, tuple[Finding, ...])
        if [one.step for one in found] != [step.n for step in steps]:
            raise ProviderError("it does not say what it finds for each step", where=self.address.bare)
        return found

    def read_file(self, path: str, *, max_bytes: int) -> bytes:
        """Return the bytes of a file there, for another provider. Raises ProviderError."""
        text = _ask(self._session, "read_file", "", {"path": path, "max_bytes": max_bytes}, str)
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProviderError("it answers a file with what is no bytes", where=self.address.bare) from error
        if len(data) > max_bytes:
            raise ProviderError("it answers with more bytes than asked for", where=self.address.bare)
        return data

    def close(self) -> None:
        """End the runner and the connection."""
        self._session.close()

    def _open(self, within_s: float) -> Link:
        label = str(self.address).translate(str.maketrans("", "", "[]$"))
        serving = Serving(self._connection, label, self._allowance)
        until_s = time.monotonic() + within_s
        link = open_link(self._target, self._program, serving, within_s=within_s)
        try:
            there_ms, trip_s = link.hello(max(1.0, until_s - time.monotonic()))
            middle_ms = self._connection.clock.now().epoch_ms - trip_s * 500
            self._ahead_s = (there_ms - middle_ms) / 1000
            link.begin(self._beginning(trip_s))
        except Cut as cut:
            link.close()
            raise Unreachable(f"the runner ended at once: {cut}", where=str(self.address)) from cut
        return link

    def _beginning(self, trip_s: float) -> object:
        """Return what the runner is told of the connection. Credentials stay here."""
        made = self._connection
        settings = {key: value for key, value in made.reach.settings.items() if key not in _OURS}
        # Rather a little too early than too late: what is before the harm is only read in vain.
        shift_ms = round((self._ahead_s - trip_s) * 1000)
        # Of no incident: what a restore left behind when its executor died must not undo the next stop.
        identity = {"agent": made.agent.name, "settings": plain(settings)}
        return codec.encode(
            {
                "agent": made.agent,
                "incident": made.incident,
                "drill": made.drill,
                "settings": {**settings, "host": "local"},
                "where": made.reach.where,
                "since_ms": made.since.epoch_ms + shift_ms if made.since else None,
                "identity": canonical(identity).decode(),
                "takes_over": self._allowance.has_acted,
            }
        )


@dataclass(frozen=True, slots=True)
class _RemoteAction:
    """One action: declared and judged here, carried out there."""

    session: Session
    allowance: Allowance
    local: Action

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self.local.spec

    def observe(self, resource: Resource) -> State:
        """Read live state there."""
        return self._call("observe", State, resource=resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Make the change there. Raises InDoubt: the connection was cut meanwhile."""
        self.allowance.has_acted = True
        self._call("apply", type(None), resource=resource, before=before, token=token)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide here."""
        return self.local.judge(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back there. Raises InDoubt: the connection was cut meanwhile."""
        self.allowance.has_acted = True
        return self._call("revert", Reversal, resource=resource, before=before, now=now)

    def probe(self, resource: Resource) -> Judgement | None:
        """Try it there, as the agent."""
        found: Judgement | None = self._call("probe", _Probed, resource=resource)
        return found

    def _call(self, verb: str, hint: type[T], **args: object) -> T:
        sent = {name: codec.encode(value) for name, value in args.items()}
        self.allowance.allow(sent)
        return _ask(self.session, verb, self.spec.name, sent, hint)


def _ask(session: Session, verb: str, action: str, args: Mapping[str, object], hint: type[T]) -> T:
    """Make a call and decode the answer. Raises ProviderError, naming the host."""
    answer = session.call(verb, action, args)
    try:
        return codec.decode(hint, answer, verb)
    except MalformedInput as error:
        raise ProviderError(
            spelt_out(f"{session.host} answers {verb} with what cannot be read: {error}"[:500]),
            where=session.host,
        ) from error


def _require_planned(connection: Connection, program: Bundle) -> None:
    """Raise Denied where the signed plan names another program than the one that would be sent."""
    planned = connection.reach.runner
    if planned and planned != program.sha256:
        raise Denied(
            "the program that would be sent there is not the one that the signed plan names"
            f" ({program.sha256[:12]}, planned {planned[:12]}): breakglass was changed since",
            where=connection.reach.where,
            remedy="make the plan again and have it signed, or run the version that made it",
        )
