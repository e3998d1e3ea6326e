"""``host.journald.export``: the journal of the agent's units and user, copied out without its secrets."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Reversibility,
    Source,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Proposed
from breakglass_host import agent_units, collect_once, learning, membership, safepath
from breakglass_host.collect_once import Collection
from breakglass_host.collected import BEST_GRADE
from breakglass_host.journald import scope
from breakglass_host.journald.collecting import Collected, collect
from breakglass_host.journald.field_redaction import FieldRedactor
from breakglass_host.journald.journalctl import Bounds, Journalctl
from breakglass_host.journald.scope import Scope

SPEC = ActionSpec(
    name="host.journald.export",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "Copies the journal entries of the agent's units and user since the incident began: the first and the"
        " last 10,000 (16 MiB, 2 MiB without repetitions; 256 KiB of a field), in the export format and as a"
        " journal file that journalctl --file and --verify read. Secrets are taken out first."
    ),
    permissions=("root: read the journal (journalctl) and have it written down (journalctl --sync)",),
    blast_radius="Nothing: it only reads; journald writes down what it was sent.",
    reversibility=Reversibility.FULL,
    undo="Nothing was changed; the evidence stays.",
    settle_s=0.0,
    best_grade=BEST_GRADE,
    example="host.journald.export journal of support-bot.service",
    sources=(
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_evidence_journal.py"),
        Source("summary", Authority.REAL_SYSTEM, "providers/host/tests/test_s_evidence_file.py"),
        Source(
            "permissions",
            Authority.VENDOR_TEXT,
            "journalctl(1), --sync; systemd-journald.service(8), Access Control",
        ),
    ),
)
_FINISH_S = 2.0
DAY_S = 86_400
_SOCKET = Path("/run/systemd/journal/socket")
_STORES = {"persistent": Path("/var/log/journal"), "volatile": Path("/run/log/journal")}


def _collect(under_way: Collection) -> JsonObject:
    wanted = scope.of(under_way.resource)
    source = Journalctl(wanted.matches(), wanted.since_s, lambda: under_way.left_s() - _FINISH_S)
    found = Collected(FieldRedactor(under_way.redactor))
    if why := source.sync():
        found.left_out.append(why)
    collect(source, found, Bounds(), source.left_s)
    found.begins = source.begins()
    facts = _write(under_way, wanted, source, found)
    under_way.left_out.extend(found.left_out)
    return {"journal": facts}


def _write(under_way: Collection, wanted: Scope, source: Journalctl, found: Collected) -> JsonObject:
    """Write the export, the journal file and what is to be known of both."""
    name, redactor = f"journal-{_file_name(under_way.resource)}", under_way.redactor
    since = f"since {Instant(wanted.since_s * 1000)}"
    under_way.put(f"{name}.export", f"journalctl --output=export {since}", found.text)
    chunks = found.file.chunks(file_id=secrets.token_bytes(16), machine_id=_machine_id())
    under_way.put(f"{name}.journal", f"the entries of {under_way.folder}/{name}.export", chunks)
    facts = found.facts() | {"stored": _stored(), "since": str(Instant(wanted.since_s * 1000))}
    said = b"\n".join(one.strip() for one in source.said if one.strip())
    about: dict[str, Json] = {
        **facts,
        "matches": [*source.matches],
        "journalctl_said": redactor.text(said[:16_384]),
        "left_out": [*found.left_out],
        "secrets_not_learnt": [*under_way.reading.left_out()],
        "redacted": dict(redactor.counts),
    }
    text = json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"
    under_way.put(f"{name}.json", "what was exported, and what was not", (text,))
    if said:
        found.left_out.append("journalctl complained: " + safepath.shown(said[:200]))
    return facts


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; the core makes the kill wait
    """Propose one export, after the freeze: the tree writes nothing more."""
    if not has_journal():
        return Proposed(not_touched=(NotTouched("journal", "no systemd-journald runs here"),))
    settings = connection.reach.settings
    found = membership.resolve(settings, connection.incident).tree
    units, incomplete = agent_units.find(settings, found.cgroup)
    wanted = Scope(units, found.uid, since(connection).epoch_ms // 1000)
    if wanted.empty:
        why = "neither a unit nor an account that is the agent's alone says which entries are its"
        return Proposed(not_touched=(NotTouched("journal", why),))
    params: dict[str, Json] = {
        **found.params(),
        **wanted.params(),
        "credential_files": learning.credential_files(settings),
    }
    assumed = "" if connection.since else " (a day before planning: nobody said when the incident began)"
    label = f"journal of {found.name} since {Instant(wanted.since_s * 1000)}{assumed}"
    step = collect_once.proposal(SPEC, f"journal:{found.name}", label, params, freeze_key)
    return Proposed((step,), incomplete=incomplete)


def _partial(state: State) -> str:
    """Say what the bounds, or the journal itself, left out."""
    facts = state.objects.get("journal")
    if not isinstance(facts, Mapping):
        return ""
    cut, words = facts.get("cut"), []
    if isinstance(cut, Mapping):
        words.append(f"cut after {cut.get('after')} until {cut.get('before')}")
    if shortened := facts.get("values_shortened"):
        words.append(f"the middle of {shortened} long values")
    if outside := facts.get("entries_not_in_journal_file"):
        words.append(f"{outside} entries stand in the export format alone")
    if str(facts.get("journal_begins", "")) > str(facts.get("since", "")):
        words.append(f"what journald still has begins at {facts.get('journal_begins')}")
    return "; ".join(words)


def since(connection: Connection) -> Instant:
    """Return when the incident began, or, where nobody said so, the moment a day ago."""
    began = connection.since or connection.clock.now().plus(-DAY_S)
    return Instant(max(0, began.epoch_ms))


def has_journal() -> bool:
    """Return True where journald takes entries (systemd-journald.service(8))."""
    return _SOCKET.exists()


def _file_name(resource: Resource) -> str:
    kept = "".join(c if c.isalnum() or c in "._@-" else "_" for c in resource.id.removeprefix("journal:"))
    return kept[:80].strip("._-") or "agent"


def _machine_id() -> bytes:
    try:
        return bytes.fromhex(Path("/etc/machine-id").read_text().strip())
    except (OSError, ValueError):
        return bytes(16)


def _stored() -> str:
    """Say where journald keeps what it is sent (journald.conf(5), Storage=)."""
    found = [kind for kind, path in _STORES.items() if any(path.glob("*/*.journal"))]
    return " and ".join(found) or "nowhere: Storage=none, or nothing was stored yet"


ACTION_CLASSES = (collect_once.action(SPEC, _collect, _partial),)
