"""``host.systemd.unit_files``: unit files, drop-ins, enablement links and properties of the agent's units."""

from __future__ import annotations

import json
import pwd
import queue
import secrets
import threading
from collections.abc import Callable, Iterator

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Proposal, Reversal, WaitFor
from breakglass_host import (
    agent_units,
    collected,
    learning,
    membership,
    safepath,
    tree,
    unit_places,
    unit_redaction,
)
from breakglass_host.collected import Evidence
from breakglass_host.planted import Looking
from breakglass_host.process_evidence import Reading
from breakglass_host.proposed import Proposed
from breakglass_host.redact import Redactor
from breakglass_host.systemd import systemctl, unit_name

SPEC = ActionSpec(
    name="host.systemd.unit_files",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "Copies the unit files, drop-ins, enablement links and properties of the agent's units, and all that"
        " lies in the folders for user units of its account (256 KiB of each file). Secrets are taken out."
    ),
    permissions=("root: systemctl show, read unit files",),
    blast_radius="Nothing: it only reads.",
    reversibility=Reversibility.FULL,
    undo="Nothing was changed; the evidence stays.",
    settle_s=0.0,
    best_grade=collected.BEST_GRADE,
    example="host.systemd.unit_files units of support-bot.service",
    sources=(
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_evidence_units.py"),
        Source("summary", Authority.VENDOR_TEXT, "systemd.unit(5), UNIT FILE LOAD PATH"),
    ),
)
BUDGET_S = 10.0
FREEZE_WAIT_S = 5.0
PATIENCE_S = 3.0
"""How long the agent's own folders may take: its file systems may never answer."""


class CopyUnitFiles:
    """Collect once in a run."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Make the run's own redaction key; it is never written."""
        self._connection = connection
        self._redactor = Redactor(secrets.token_bytes(32))
        self._evidence = Evidence(connection.evidence)

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far; a run that resumes collects again."""
        return self._evidence.state(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect what was not collected yet.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        if self._evidence.ended(resource):
            return
        clock = self._connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        reading = Reading(self._redactor, lambda: clock.monotonic_s() >= end_s - BUDGET_S / 2)
        learning.learn(self._connection, resource, reading)
        units = [one for one in learning.texts(resource.params, "units") if not unit_name.complaint(one)]
        uid = safepath.number_param(resource, "uid")
        left_out: list[str] = []
        folder = f"host/{tree.short(resource.id)}"
        plain = [one for one in units if not unit_name.is_template(one)]
        shown = _shown(plain, left_out)
        text = unit_redaction.redacted(self._redactor, shown)
        self._evidence.put(resource, f"{folder}/units.txt", "systemctl show", (text,))
        paths, listed = unit_places.of_system(units, left_out)
        looking = Looking(self._redactor, uid)
        lines = [*listed, *(looking.file(path) for path in paths)]
        self._evidence.put(resource, f"{folder}/unit-files.jsonl", "unit files and links", _lines(lines))
        if uid is not None:
            users = Looking(self._redactor, uid)
            found = _patiently(lambda: _of_user(users), left_out)
            source = f"folders for user units of uid {uid}"
            self._evidence.put(resource, f"{folder}/user-units.jsonl", source, _lines(found))
            looking.is_cut |= users.is_cut
        counted: dict[str, Json] = {"units": [*units], "files": len(lines), "cut": looking.is_cut}
        self._evidence.end(resource, left_out, {"unit_files": counted})

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the port's signature
        """Contained: everything that the step names was collected."""
        facts = state.objects.get("unit_files")
        is_cut = isinstance(facts, dict) and facts.get("cut") is True
        return collected.judged(state, "the first 1,000 files of the user's folders" if is_cut else "")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's signature
        """Do nothing: reading changed nothing."""
        return collected.nothing_to_revert(resource)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nothing to try."""
        return None


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; the core makes the kill wait
    """Propose one copy, after the freeze; nothing where there is no systemd, as the journal's part says."""
    if systemctl.absent():
        return Proposed()
    settings = connection.reach.settings
    found = membership.resolve(settings, connection.incident).tree
    units, incomplete = agent_units.find(settings, found.cgroup)
    if not units and found.uid is None:
        return Proposed()
    params: dict[str, Json] = {
        **found.params(),
        "units": [*units],
        "credential_files": learning.credential_files(settings),
    }
    step = Proposal(
        key=f"unit-files:{found.name}",
        action=SPEC.name,
        target=Resource("evidence", f"unit-files:{found.name}", f"unit files of {found.name}", params),
        after=(WaitFor(freeze_key, FREEZE_WAIT_S),) if freeze_key else (),
    )
    return Proposed((step,), incomplete=incomplete)


def _shown(units: list[str], left_out: list[str]) -> bytes:
    """Return all properties of the units, as systemctl prints them."""
    if not units:
        return b""
    try:
        done = systemctl.run("show", "--all", "--", *units, timeout_s=PATIENCE_S)
    except ProviderError as error:
        left_out.append(f"systemctl show: {error.what}")
        return b""
    if done.returncode != 0:
        left_out.append(f"systemctl show: exit status {done.returncode}")
    return done.stdout


def _of_user(looking: Looking) -> list[dict[str, Json]]:
    uid = looking.owner or 0
    try:
        home = pwd.getpwuid(uid).pw_dir
    except KeyError:
        home = ""
    return [one for place in unit_places.of_user(home, uid) for one in looking.folder(place)]


def _patiently(look: Callable[[], list[dict[str, Json]]], left_out: list[str]) -> list[dict[str, Json]]:
    """Do what may never end in a thread that is left behind then."""
    answers: queue.SimpleQueue[list[dict[str, Json]]] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(look()), daemon=True).start()
    try:
        return answers.get(timeout=PATIENCE_S)
    except queue.Empty:
        left_out.append("folders for user units: reading them hangs")
        return []


def _lines(values: list[dict[str, Json]]) -> Iterator[bytes]:
    for value in values:
        yield json.dumps(value, separators=(",", ":")).encode() + b"\n"


ACTION_CLASSES = (CopyUnitFiles,)
