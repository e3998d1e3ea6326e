"""``host.login.records``: logins, failed logins and sessions of the agent's account."""

from __future__ import annotations

import pwd
from collections.abc import Iterator

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
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
from breakglass_host import collect_once, collected, learning, log_evidence, membership, safepath
from breakglass_host.actions import journal_export
from breakglass_host.collect_once import Collection
from breakglass_host.journald.journalctl import Answer, Bounds, Journalctl
from breakglass_host.login_lines import LoginLines
from breakglass_host.logins import Records

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


def _collect(under_way: Collection) -> JsonObject:
    resource, redactor = under_way.resource, under_way.redactor
    uid = safepath.number_param(resource, "uid") or 0
    user = safepath.text_param(resource, "account")
    records = list(Records(user, uid, redactor, under_way.left_out).lines())
    source = "wtmp, btmp, utmp, lastlog, wtmpdb, lastlog2, logind"
    under_way.put("logins.jsonl", source, collect_once.lines(records))
    since_s = safepath.number_param(resource, "since_s") or 0
    named = LoginLines(user.encode(), redactor)
    facts: dict[str, Json] = {"records": len(records)}
    if journal_export.has_journal():
        journal = Journalctl(_matches(), since_s, under_way.left_s)
        found = list(_journal(under_way, journal, named, facts))
        under_way.put("login-journal.jsonl", "journalctl", collect_once.lines(found))
        facts["journal_lines"] = len(found)
    for path in _FILES:
        _file(under_way, path, named)
    return {"logins": facts}


def _journal(
    under_way: Collection, journal: Journalctl, named: LoginLines, facts: dict[str, Json]
) -> Iterator[dict[str, Json]]:
    """Yield the lines that name the user, newest first."""
    answer = Answer()
    try:
        for entry in journal.read(_BOUNDS, answer, backwards=True):
            message = entry.first(b"MESSAGE")
            if not named.names(message) and entry.first(b"USER_ID") != named.user:
                continue
            yield {
                "time": str(Instant(entry.realtime // 1000)),
                "epoch_us": entry.realtime,
                "cursor": entry.without_content_hash().cursor,
                "program": under_way.redactor.text(entry.first(b"_COMM")),
                "exe": under_way.redactor.text(entry.first(b"_EXE"), path=True),
                "uid": under_way.redactor.text(entry.first(b"_UID")),
                "pid": under_way.redactor.text(entry.first(b"_PID")),
                "message": named.shown(message).decode("utf-8", "backslashreplace"),
            }
    except ProviderError as error:
        under_way.left_out.append(str(error))
    if answer.failed or answer.late:
        under_way.left_out.append(f"journalctl: {answer.failed or 'no time left'}")
    facts["looked_through"] = answer.entries
    facts["cut"] = not answer.ended


def _file(under_way: Collection, path: str, named: LoginLines) -> None:
    """Copy the lines that name the user from where a syslog daemon writes them."""
    try:
        log = log_evidence.measure(path)
    except (OSError, ProviderError):
        return
    found = b"".join(log_evidence.chunks(log, lambda: False)).split(b"\n")
    kept = (named.shown(line) + b"\n" for line in found if named.names(line))
    under_way.put(path.rsplit("/", 1)[-1], log.source, kept)


def _partial(state: State) -> str:
    facts = state.objects.get("logins")
    is_cut = isinstance(facts, dict) and facts.get("cut") is True
    return "older lines of the journal were not looked through" if is_cut else ""


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
    label = f"logins of {safepath.shown(account)}"
    step = collect_once.proposal(SPEC, f"logins:{found.name}", label, params, freeze_key)
    return Proposed((step,))


def _matches() -> list[str]:
    fields = [f"{key}={one}" for one in _PROGRAMS for key in ("_COMM", "SYSLOG_IDENTIFIER")]
    return [part for n, one in enumerate(fields) for part in (("+", one) if n else (one,))]


ACTION_CLASSES = (collect_once.action(SPEC, _collect, _partial),)
