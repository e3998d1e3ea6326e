"""``host.evidence.snapshot``: logs, processes, sockets and rules copied out, without their secrets."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, EvidenceItem, Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_host import (
    cgroup,
    log_evidence,
    membership,
    netns,
    nft,
    process_evidence,
    procfs,
    safepath,
    setaside,
    tree,
)
from breakglass_host.process_evidence import Reading
from breakglass_host.procfs import Process
from breakglass_host.redact import Redactor

SPEC = ActionSpec(
    name="host.evidence.snapshot",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "Copies the named logs (first 1 MiB and last 3 MiB of each), of each process of the agent its command"
        " line, environment, status, open files, memory maps and sockets, and the nftables rules. Secrets are"
        " taken out first; digests are made at once."
    ),
    permissions=(
        "root: read the logs and /proc/PID of the agent's processes (CAP_SYS_PTRACE)",
        "root: nft list",
    ),
    blast_radius="Nothing: it only reads.",
    reversibility=Reversibility.FULL,
    undo="Nothing was changed; the evidence stays.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.evidence.snapshot processes of user:bot",
    sources=(
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_b_snapshot.py"),
        Source("summary", Authority.REAL_SYSTEM, "providers/host/tests/test_b_redact.py: planted secrets"),
    ),
)
BUDGET_S = 10.0
"""What a kill waits for lies below DESIGN 5's 20 s, also with the last write to the disk."""
FREEZE_WAIT_S = 5.0
_LEFT_OUT = "left out"


class Snapshot:
    """Collect once in a run; what was collected is remembered only to tell complete from incomplete."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Make the run's own redaction key; it is never written."""
        self._connection = connection
        self._redactor = Redactor(secrets.token_bytes(32))
        self._items: dict[str, dict[str, EvidenceItem]] = {}
        self._left_out: dict[str, list[str]] = {}

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far; a run that resumes collects again."""
        items = self._items.get(resource.id)
        if items is None:
            return State({"snapshot": {"taken": False}})
        objects: dict[str, Json] = {
            item.path: {"sha256": item.sha256, "size": item.size, "source": item.source}
            for item in items.values()
        }
        left_out = self._left_out.get(resource.id, ["the collection did not end"])
        note = "; ".join(left_out[:10])
        return State({**objects, "snapshot": {"taken": True}}, complete=not left_out, note=note)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect what was not collected yet.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        clock = self._connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        collection = _Collection(
            self._connection,
            resource,
            Reading(self._redactor, lambda: clock.monotonic_s() >= end_s),
            self._items.setdefault(resource.id, {}),
        )
        self._left_out.pop(resource.id, None)
        with contextlib.closing(collection.reading.reader):
            left_out = collection.run()
        self._left_out[resource.id] = left_out
        if left_out:
            raise Denied(f"{_LEFT_OUT}: {'; '.join(left_out[:5])}"[:500])

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the port's signature
        """Contained: everything that the step names was collected."""
        taken = state.objects.get("snapshot")
        if not isinstance(taken, dict) or not taken.get("taken"):
            return Judgement(Verdict.UNKNOWN, "not collected yet", Grade.NONE)
        if not state.complete:
            return Judgement(Verdict.UNKNOWN, f"{_LEFT_OUT}: {state.note}", Grade.NONE)
        size = sum(
            int(str(one["size"])) for one in state.objects.values() if isinstance(one, dict) and "size" in one
        )
        return Judgement(
            Verdict.CONTAINED, f"{len(state.objects) - 1} pieces of evidence, {size} bytes, with digests"
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's signature
        """Do nothing: reading changed nothing."""
        return Reversal({resource.id: Outcome.ALREADY}, "nothing was changed; the evidence stays")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nothing to try."""
        return None


class _Collection:
    """One pass over everything, in the order of what is lost first."""

    def __init__(
        self, connection: Connection, resource: Resource, reading: Reading, items: dict[str, EvidenceItem]
    ) -> None:
        self._connection = connection
        self._resource = resource
        self.reading = reading
        self._items = items
        self._folder = f"host/{tree.short(resource.id)}"

    def run(self) -> list[str]:
        """Collect; return in words what had to be left out."""
        reading, table = self.reading, procfs.scan()
        members = membership.of_tree(tree.of(self._resource), table, cgroup.find())
        self._learn_credentials()
        environments = process_evidence.learn(reading, members)
        self._put("tree.txt", "process tree", lambda: process_evidence.tree(members, table, reading.redactor))
        self._put(
            "processes.jsonl",
            "/proc/PID of every process",
            lambda: process_evidence.describe(reading, members, environments),
        )
        self._put("files.jsonl", "/proc/PID/fd", lambda: process_evidence.open_files(reading, members))
        self._put("sockets.txt", "/proc/PID/net", lambda: process_evidence.sockets(reading, members))
        self._put("nftables.txt", "nft list ruleset", lambda: self._rules(members))
        self._logs()
        self._put("maps.txt", "/proc/PID/maps", lambda: process_evidence.maps(reading, members))
        left_out = reading.left_out()
        self._items.pop("redaction.json", None)
        self._put("redaction.json", "what was taken out, by rule", lambda: self._report(left_out))
        return left_out

    def _put(self, name: str, source: str, chunks: Callable[[], Iterable[bytes]]) -> None:
        if name not in self._items:
            self._items[name] = self._connection.evidence.put(f"{self._folder}/{name}", source, chunks())

    def _learn_credentials(self) -> None:
        """Read the credential files, wherever they lie by now, so that no log can show what is in them."""
        for path in _texts(self._resource.params.get("credential_files")):
            place = setaside.Place(path, self._connection.incident, self._connection.sealed, keeps_copy=False)
            for data in setaside.contents(place):
                self.reading.redactor.learn_file(data)

    def _logs(self) -> None:
        reading = self.reading
        for n, path in enumerate(_texts(self._resource.params.get("log_files"))):
            what = f"log {safepath.shown(path)}"
            try:
                log = log_evidence.measure(path)
                name = "".join(c if c.isalnum() or c in "._-" else "_" for c in path.rsplit("/", 1)[-1])[:80]
                stream = reading.redactor.stream(log_evidence.chunks(log, reading.is_late))
                self._put(f"logs/{n}-{name}", log.source, lambda stream=stream: stream)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            except FileNotFoundError:
                reading.missed[f"{what}: there is no such file"] += 1
            except OSError as error:
                reading.missed[f"{what}: {error.strerror}"] += 1
            except ProviderError as error:
                if error.where == "evidence" or error.where.startswith("evidence/"):
                    raise
                reading.missed[f"{what}: {error.what}"] += 1
            else:
                if log.missed:
                    reading.missed[f"{what}: {log.missed}"] += 1

    def _rules(self, members: Iterable[Process]) -> Iterator[bytes]:
        """Yield the rules of each network namespace that the tree holds, and of our own."""
        program = nft.program()
        if program is None:
            yield b"# nft is not installed\n"
            return
        holders: dict[int, list[int]] = {netns.own(): []}
        for one in members:
            holders.setdefault(procfs.namespace(one.pid, "net"), []).append(one.pid)
        for inode, pids in holders.items():
            if inode == 0:
                continue
            try:
                if not netns.reach(inode, pids):
                    self.reading.missed[
                        f"nftables rules of network namespace {inode}: it cannot be reached"
                    ] += 1
                    continue
                answer = netns.run(inode, {"nft": program, "list": ["list", "ruleset"]})
            except ProviderError as error:
                self.reading.missed[f"nftables rules of network namespace {inode}: {error.what}"] += 1
                continue
            yield f"# net:{inode}\n".encode()
            yield self.reading.redactor.data(
                f"{answer.get('chain', '')}{answer.get('list_error', '')}\n".encode()
            )

    def _report(self, left_out: list[str]) -> Iterator[bytes]:
        found = {"redacted": dict(self.reading.redactor.counts), "left_out": left_out}
        yield json.dumps(found, indent=1, sort_keys=True).encode() + b"\n"


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; the core makes the kill wait
    """Propose one snapshot, after the freeze: nothing moves while it is taken."""
    settings = connection.reach.settings
    found = membership.resolve(settings, connection.incident).tree
    incomplete, paths = [], {}
    for key in ("log_files", "credential_files"):
        named = _texts(settings.get(key))
        wrong = [path for path in named if safepath.complaint(path)] if key == "log_files" else []
        incomplete += [f"log {safepath.shown(path)[:300]} {safepath.complaint(path)}" for path in wrong]
        paths[key] = [safepath.resolved(path) for path in named if not safepath.complaint(path)]
    params: dict[str, Json] = {**found.params(), **{key: [*value] for key, value in paths.items()}}
    step = Proposal(
        key=f"snapshot:{found.name}",
        action=SPEC.name,
        target=Resource("evidence", f"snapshot:{found.name}", f"logs and processes of {found.name}", params),
        after=(WaitFor(freeze_key, FREEZE_WAIT_S),) if freeze_key else (),
    )
    return Proposed((step,), incomplete=tuple(incomplete))


def _texts(value: Json) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


ACTION_CLASSES = (Snapshot,)
