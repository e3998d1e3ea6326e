"""``host.systemd.end_linger``: the agent's own systemd is not started again, by boot, login or anybody."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import Transient
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Proposal, Proposed, Reversal
from breakglass_host import inode, safepath, setaside
from breakglass_host.accounts import account as accounts
from breakglass_host.accounts import folder_times, logind
from breakglass_host.setaside import Place
from breakglass_host.systemd import mask, systemctl

_SHOWN_BY = "providers/host/tests/test_s_accounts_sessions.py: systemd 252"
SPEC = ActionSpec(
    name="host.systemd.end_linger",
    capability=Capability.BLOCK_RELAUNCH,
    summary="Ends lingering of the agent's account and masks its user manager: nothing starts it again.",
    permissions=("root: rename in /var/lib/systemd/linger, links in /etc/systemd/system.control",),
    blast_radius="Whoever logs in as that account gets no user manager.",
    reversibility=Reversibility.FULL,
    undo="Takes the mask away, puts the linger file back, and starts the manager if it lingered before.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.systemd.end_linger user manager of account bot",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "loginctl(1), enable-linger; systemd.unit(5), masked units"),
        Source("proof", Authority.REAL_SYSTEM, _SHOWN_BY),
        Source("undo", Authority.REAL_SYSTEM, _SHOWN_BY),
    ),
)
_RUNNING = ("active", "activating", "reloading")
DEADLINE_S = 60.0


class EndLinger:
    """Move the linger file away and mask ``user@UID.service``."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the linger file, the masks and the state of the user manager."""
        name, uid = accounts.from_params(resource.params)
        unit = logind.manager(uid)
        shown = systemctl.show([unit])[0]
        with safepath.refusals(logind.LINGER):
            found = setaside.observe(self._place(name))
            about: dict[str, Json] = {
                **mask.links(unit),
                "load": shown["LoadState"],
                "active": shown["ActiveState"],
            }
            objects = {**found.objects, unit: about, **mask.folders(), **folder_times.of([_path(name)])}
        return State(objects, complete=found.complete, note=found.note)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - no token is taken: what is masked stays masked
        """Mask first: the file is only read when somebody would start the manager."""
        name, uid = accounts.from_params(resource.params)
        unit = logind.manager(uid)
        mask.put([unit])
        if systemctl.show([unit])[0]["LoadState"] != "masked":
            systemctl.reload()
        setaside.apply(self._place(name), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: no linger file, and systemd itself says that the manager is masked."""
        name, uid = accounts.from_params(resource.params)
        unit = logind.manager(uid)
        file, about = state.objects.get(_path(name)), state.objects.get(unit)
        if not isinstance(file, Mapping) or not isinstance(about, Mapping) or file.get("present") is None:
            return Judgement(Verdict.UNKNOWN, state.note or "it could not be read", Grade.NONE)
        if file.get("present"):
            return Judgement(Verdict.NOT_CONTAINED, f"account {name} lingers")
        if about.get("load") != "masked":
            return Judgement(Verdict.NOT_CONTAINED, f"{unit} is not masked")
        until = "" if mask.lasts(about) else ", until the next boot"
        return Judgement(Verdict.CONTAINED, f"account {name} does not linger, and {unit} is masked{until}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - each part compares: nothing is replaced
        """Unmask, put the file back, and start the manager where it ran because the account lingered.

        Raises:
            Transient: the manager cannot be started yet: PAM refuses it until the account is unlocked.
        """
        name, uid = accounts.from_params(resource.params)
        unit, prior = logind.manager(uid), before.objects
        was = prior.get(unit)
        was = was if isinstance(was, Mapping) else {}
        outcomes = {unit: mask.take_away(unit, was)}
        mask.leave(prior)
        if outcomes[unit] is Outcome.RESTORED or systemctl.show([unit])[0]["LoadState"] == "masked":
            systemctl.reload()
        outcomes[_path(name)], reason = setaside.put_back(self._place(name), before)
        folder_times.give_back(before)
        lingered = _is_present(prior.get(_path(name))) and outcomes[_path(name)] is not Outcome.DRIFTED
        ran = {was.get("active"), resource.params.get("manager")} & {*_RUNNING}
        if lingered and ran and outcomes[unit] is not Outcome.DRIFTED:
            _start(name, unit)
            _give_time_back(name, prior.get(_path(name)))
        return Reversal(outcomes, f"lingering of account {name} {reason}")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: that systemd itself says "masked" is the read-back."""
        return None

    def _place(self, name: str) -> Place:
        return Place(_path(name), self._connection.incident, self._connection.sealed, keeps_copy=True)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a guard waits for nothing
    """Propose the guard where systemd runs and the agent has an account."""
    found, _ = accounts.of(connection)
    if found is None:
        return Proposed()
    if why := logind.absent():
        return Proposed(not_touched=(NotTouched("login sessions and lingering", why),))
    label = f"user manager of account {found.name}"
    # What it was when planning counts too: the tree's end may come before this step first looks.
    active = systemctl.show([logind.manager(found.uid)])[0]["ActiveState"]
    params: dict[str, Json] = {**found.params(), "manager": active}
    target = Resource("user-manager", f"account {found.name}", label, params)
    step = Proposal(f"linger:{found.name}", SPEC.name, target, deadline_s=DEADLINE_S)
    return Proposed((step,))


def _start(name: str, unit: str) -> None:
    """Have logind know the user again, which starts the manager, and wait until it runs.

    Raises:
        Transient: it does not start yet.
    """
    if not logind.lingers(name):
        logind.enable_linger(name)
    if systemctl.show([unit])[0]["ActiveState"] in _RUNNING:
        return
    if why := systemctl.order("start", [unit]):
        raise Transient(f"{unit} does not start: {why}", where=unit)


def _give_time_back(name: str, prior: Json) -> None:
    """Undo what logind did to the file: it touches the one that is there already."""
    with safepath.refusals(_path(name)), safepath.folder(logind.LINGER) as at:
        found = inode.read(name, at)
        is_same = isinstance(prior, Mapping) and found is not None and found.id == prior["inode"]
        if is_same and isinstance(prior, Mapping):
            inode.put_rights(name, at, prior)


def _path(name: str) -> str:
    return f"{logind.LINGER}/{name}"


def _is_present(value: Json) -> bool:
    return isinstance(value, Mapping) and value.get("present") is True


ACTION_CLASSES = (EndLinger,)
