"""``host.systemd.unit_files``: unit files, drop-ins, enablement links and properties of the agent's units."""

from __future__ import annotations

import pwd
import queue
import threading
from collections.abc import Callable

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Reversibility,
    Source,
)
from breakglass.model.resource import State
from breakglass.provider import Connection, Proposed
from breakglass_host import (
    agent_units,
    collect_once,
    collected,
    learning,
    membership,
    safepath,
    unit_places,
    unit_redaction,
)
from breakglass_host.collect_once import Collection
from breakglass_host.planted import Looking
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
PATIENCE_S = 3.0
"""How long the agent's own folders may take: its file systems may never answer."""


def _collect(under_way: Collection) -> JsonObject:
    params, left_out = under_way.resource.params, under_way.left_out
    units = [one for one in learning.texts(params, "units") if not unit_name.complaint(one)]
    uid = safepath.number_param(under_way.resource, "uid")
    shown = _shown([one for one in units if not unit_name.is_template(one)], left_out)
    under_way.put("units.txt", "systemctl show", (unit_redaction.redacted(under_way.redactor, shown),))
    paths, listed = unit_places.of_system(units, left_out)
    looking = Looking(under_way.redactor, uid)
    found = [*listed, *(looking.file(path) for path in paths)]
    under_way.put("unit-files.jsonl", "unit files and links", collect_once.lines(found))
    if uid is not None:
        users = Looking(under_way.redactor, uid)
        planted = _patiently(lambda: _of_user(users), left_out)
        source = f"folders for user units of uid {uid}"
        under_way.put("user-units.jsonl", source, collect_once.lines(planted))
        looking.is_cut |= users.is_cut
    return {"unit_files": {"units": [*units], "files": len(found), "cut": looking.is_cut}}


def _partial(state: State) -> str:
    facts = state.objects.get("unit_files")
    is_cut = isinstance(facts, dict) and facts.get("cut") is True
    return "the first 1,000 files of the user's folders" if is_cut else ""


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
    key = f"unit-files:{found.name}"
    step = collect_once.proposal(SPEC, key, f"unit files of {found.name}", params, freeze_key)
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


ACTION_CLASSES = (collect_once.action(SPEC, _collect, _partial),)
