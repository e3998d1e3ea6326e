"""``host.login.records``: logins, failed logins and sessions of the agent's account."""

from __future__ import annotations

import json
import pwd
import secrets
from collections.abc import Iterable, Iterator

from breakglass.canon import Json
from breakglass.clock import Instant
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
from breakglass_host import collected, learning, log_evidence, membership, safepath, tree
from breakglass_host.actions import journal_export
from breakglass_host.collected import Evidence
from breakglass_host.journald.journalctl import Answer, Bounds, Journalctl
from breakglass_host.login_lines import LoginLines
from breakglass_host.logins import Records
from breakglass_host.process_evidence import Reading
from breakglass_host.proposed import Proposed
from breakglass_host.redact import Redactor

SPEC = ActionSpec(
    name="host.login.records",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "Copies what wtmp, btmp, lastlog and logind say of the agent's account, and the lines of sshd, sudo,"
        " su, cron and logind that name it (the newest 20,000 are looked through). Secrets are taken out."
    ),
    permissions=("root: read /var/log/btmp, /run/systemd/sessions and the journal",),
    blast_radius="Nothing: it only reads.",
    reversibility=Reversibility.FULL,
    undo="Nothing was changed; the evidence stays.",
    settle_s=0.0,
    best_grade=collected.BEST_GRADE,
    example="host.login.records logins of bot",
    sources=(
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_evidence_logins.py"),
        Source("summary", Authority.VENDOR_TEXT, "utmp(5), lastlog(8), wtmpdb(8), systemd-logind.service(8)"),
    ),
)
BUDGET_S = 8.0
FREEZE_WAIT_S = 5.0
_PROGRAMS = (
    "sshd",
    "sshd-session",
    "sshd-auth",
    "sudo",
    "su",
    "cron",
    "crond",
    "atd",
    "login",
    "systemd-logind",
)
_FILES = ("/var/log/auth.log", "/var/log/secure")
_BOUNDS = Bounds(entries=20_000)


class CopyLogins:
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
        uid = safepath.number_param(resource, "uid") or 0
        user = safepath.text_param(resource, "account")
        left_out: list[str] = []
        folder = f"host/{tree.short(resource.id)}"
        records = list(Records(user, uid, self._redactor, left_out).lines())
        source = "wtmp, btmp, utmp, lastlog, wtmpdb, lastlog2, logind"
        self._evidence.put(resource, f"{folder}/logins.jsonl", source, _lines(records))
        since_s = safepath.number_param(resource, "since_s") or 0
        journal = Journalctl(_matches(), since_s, lambda: end_s - clock.monotonic_s())
        lines = LoginLines(user.encode(), self._redactor)
        facts: dict[str, Json] = {"records": len(records)}
        if journal_export.has_journal():
            found = list(self._journal(journal, lines, left_out, facts))
            self._evidence.put(resource, f"{folder}/login-journal.jsonl", "journalctl", _lines(found))
            facts["journal_lines"] = len(found)
        for path in _FILES:
            self._file(resource, f"{folder}/{path.rsplit('/', 1)[-1]}", path, lines)
        self._evidence.end(resource, left_out, {"logins": facts})

    def _journal(
        self, journal: Journalctl, lines: LoginLines, left_out: list[str], facts: dict[str, Json]
    ) -> Iterator[dict[str, Json]]:
        """Yield the lines that name the user, newest first."""
        answer = Answer()
        try:
            for entry in journal.read(_BOUNDS, answer, backwards=True):
                message = entry.first(b"MESSAGE")
                if not lines.names(message) and entry.first(b"USER_ID") != lines.user:
                    continue
                yield {
                    "time": str(Instant(entry.realtime // 1000)),
                    "epoch_us": entry.realtime,
                    "cursor": entry.without_content_hash().cursor,
                    "program": self._redactor.text(entry.first(b"_COMM")),
                    "exe": self._redactor.text(entry.first(b"_EXE"), path=True),
                    "uid": self._redactor.text(entry.first(b"_UID")),
                    "pid": self._redactor.text(entry.first(b"_PID")),
                    "message": lines.shown(message).decode("utf-8", "backslashreplace"),
                }
        except ProviderError as error:
            left_out.append(str(error))
        if answer.failed or answer.late:
            left_out.append(f"journalctl: {answer.failed or 'no time left'}")
        facts["looked_through"] = answer.entries
        facts["cut"] = not answer.ended

    def _file(self, resource: Resource, name: str, path: str, lines: LoginLines) -> None:
        """Copy the lines that name the user from where a syslog daemon writes them."""
        try:
            log = log_evidence.measure(path)
        except (OSError, ProviderError):
            return
        found = b"".join(log_evidence.chunks(log, lambda: False)).split(b"\n")
        kept = (lines.shown(line) + b"\n" for line in found if lines.names(line))
        self._evidence.put(resource, name, log.source, kept)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the port's signature
        """Contained: everything that the step names was collected."""
        facts = state.objects.get("logins")
        is_cut = isinstance(facts, dict) and facts.get("cut") is True
        return collected.judged(state, "older lines of the journal were not looked through" if is_cut else "")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's signature
        """Do nothing: reading changed nothing."""
        return collected.nothing_to_revert(resource)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nothing to try."""
        return None


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; the core makes the kill wait
    """Propose one copy where the agent has an account that is its alone."""
    settings = connection.reach.settings
    found = membership.resolve(settings, connection.incident).tree
    if found.uid is None:
        return Proposed()
    try:
        account = pwd.getpwuid(found.uid).pw_name
    except KeyError:
        return Proposed()
    params: dict[str, Json] = {
        **found.params(),
        "account": account,
        "since_s": journal_export.since(connection).epoch_ms // 1000,
        "credential_files": learning.credential_files(settings),
    }
    step = Proposal(
        key=f"logins:{found.name}",
        action=SPEC.name,
        target=Resource("evidence", f"logins:{found.name}", f"logins of {safepath.shown(account)}", params),
        after=(WaitFor(freeze_key, FREEZE_WAIT_S),) if freeze_key else (),
    )
    return Proposed((step,))


def _matches() -> list[str]:
    fields = [f"{key}={one}" for one in _PROGRAMS for key in ("_COMM", "SYSLOG_IDENTIFIER")]
    return [part for n, one in enumerate(fields) for part in (("+", one) if n else (one,))]


def _lines(values: Iterable[dict[str, Json]]) -> Iterator[bytes]:
    for value in values:
        yield json.dumps(value, separators=(",", ":")).encode() + b"\n"


ACTION_CLASSES = (CopyLogins,)
