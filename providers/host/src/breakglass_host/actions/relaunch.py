"""``host.cron.block_relaunch``: the agent's user may not make new crontabs and at jobs."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import ProviderError, Unsettled
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
from breakglass_host import as_agent, exclusive, name_list, safepath, tree
from breakglass_host.name_list import Lists

SPEC = ActionSpec(
    name="host.cron.block_relaunch",
    capability=Capability.BLOCK_RELAUNCH,
    summary="Enters the agent's user in cron.deny and at.deny, or takes it out of cron.allow and at.allow.",
    permissions=("root: replace the files in /etc",),
    blast_radius="Nobody can make a crontab or an at job as that user; other users are not affected.",
    reversibility=Reversibility.FULL,
    undo="Puts the bytes, mode, owner and time of each list back, if it is as the stop left it.",
    settle_s=0.0,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="host.cron.block_relaunch user bot",
    sources=(
        Source(
            "proof",
            Authority.VENDOR_TEXT,
            "crontab(1) and at.allow(5): allow before deny; no at list: root alone",
        ),
        Source(
            "proof", Authority.REAL_SYSTEM, "providers/host/tests/test_b_cron.py: crontab 3.0pl1, at 3.2.5"
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_b_relaunch.py"),
    ),
)
SYSTEM = {"cron": "/etc/cron.deny", "at": "/etc/at.deny"}
PROGRAMS = {"cron": ("/usr/bin/crontab", "-l"), "at": ("/usr/bin/at", "-l")}
REFUSALS = ("not allowed to use", "do not have permission to use")
PATIENCE_S = 3.0


class BlockRelaunch:
    """Edit the lists that crontab(1) and at(1) ask."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read each list, seal its bytes, and see whether the user stands in it."""
        account = safepath.text_param(resource, "account")
        objects: dict[str, Json] = {}
        for lists in _lists(resource):
            for path in (lists.allow, lists.deny):
                with safepath.refusals(path):
                    objects[path] = name_list.read(path, account, self._connection.sealed)
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; a name that stands there is not entered twice
        """Edit the lists that let the user in, each replaced as a whole.

        Raises:
            Unsettled: a list is another than the one that was recorded.
        """
        account = safepath.text_param(resource, "account")
        for lists in _lists(resource):
            if (path := lists.to_edit(before)) is None:
                continue
            with safepath.refusals(path):
                if not name_list.edit(path, account, before.objects[path], lists.wants(path)):
                    raise Unsettled("the list changed while it was read", where=path)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: for cron and for at, the lists keep the user out."""
        said = []
        for lists in _lists(resource):
            verdict, reason = lists.judge(state)
            if verdict is not Verdict.CONTAINED:
                return Judgement(
                    verdict, reason, Grade.READ_BACK if verdict is not Verdict.UNKNOWN else Grade.NONE
                )
            said.append(reason)
        return Judgement(Verdict.CONTAINED, "; ".join(said) or "there is neither cron nor at")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - each list is read again when it is put back
        """Put back the bytes of each list that the stop edited."""
        account = safepath.text_param(resource, "account")
        outcomes: dict[str, Outcome] = {}
        for lists in _lists(resource):
            edited = lists.to_edit(before)
            for path in (lists.allow, lists.deny):
                prior = before.objects.get(path)
                if not isinstance(prior, Mapping) or path != edited:
                    outcomes[path] = Outcome.ALREADY
                    continue
                with safepath.refusals(path):
                    wants = lists.wants(path)
                    outcomes[path] = name_list.put_back(path, account, prior, wants, self._connection.sealed)
        return Reversal(outcomes, "the lists of who may use cron and at")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask crontab and at themselves, as the user; None where other lists than theirs are edited."""
        who = as_agent.from_params(resource.params)
        if who is None or not as_agent.is_possible(who) or not _is_system(resource):
            return None
        for lists in _lists(resource):
            answer = _ask(PROGRAMS[lists.service], who.uid, who.gid)
            if answer is None:
                return Judgement(Verdict.UNKNOWN, f"{lists.service} did not answer", Grade.NONE)
            if not any(refusal in answer for refusal in REFUSALS):
                reason = f"{PROGRAMS[lists.service][0]} let user {who.uid} in"
                return Judgement(Verdict.NOT_CONTAINED, reason, Grade.REFUSED_AS_AGENT)
        reason = f"crontab and at refuse user {who.uid}"
        return Judgement(Verdict.CONTAINED, reason, Grade.REFUSED_AS_AGENT)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a guard waits for nothing
    """Propose the block where the agent's user has a name that the lists can hold."""
    settings = connection.reach.settings
    who = as_agent.identity(settings, connection.incident)
    paths = {service: _path(settings, service) for service in SYSTEM}
    if who is None or not who.account or not any(paths.values()):
        why = "the agent has no account of its own here that could be kept from them"
        return Proposed((), (), (NotTouched("who may use cron and at", why),))
    if wrong := [path for path in paths.values() if path and safepath.complaint(path)]:
        why = safepath.complaint(wrong[0])
        return Proposed(incomplete=(f"{safepath.shown(wrong[0])[:300]} {why}",))
    params: dict[str, Json] = {
        **who.params(),
        "cron_deny": safepath.resolved(paths["cron"]) if paths["cron"] else "",
        "at_deny": safepath.resolved(paths["at"]) if paths["at"] else "",
        # Where cron has no list at all, Debian's lets everybody in and others let only root in (crontab(1)).
        "cron_is_open": bool(tree.setting(settings, "cron_deny")) or Path("/etc/debian_version").exists(),
    }
    target = Resource("schedule-lists", f"user {who.account}", f"cron and at for user {who.account}", params)
    can_ask = as_agent.is_possible(who) and _is_system(target)
    grade = None if can_ask else Grade.READ_BACK
    return Proposed((Proposal(f"relaunch:{who.account}", SPEC.name, target, best_grade=grade),))


def _path(settings: Mapping[str, Json], service: str) -> str:
    named = tree.setting(settings, f"{service}_deny")
    is_here = os.geteuid() == 0 and Path(PROGRAMS[service][0]).exists()
    return named or (SYSTEM[service] if is_here else "")


def _lists(resource: Resource) -> tuple[Lists, ...]:
    is_open = resource.params.get("cron_is_open") is True
    found = ((service, safepath.text_param(resource, f"{service}_deny")) for service in SYSTEM)
    return tuple(
        Lists(service, path, is_open=service == "cron" and is_open) for service, path in found if path
    )


def _is_system(resource: Resource) -> bool:
    """Return True where the lists are the ones that the installed programs read."""
    named = {service: safepath.text_param(resource, f"{service}_deny") for service in SYSTEM}
    return all(
        path in ("", SYSTEM[service]) and (not path or Path(PROGRAMS[service][0]).exists())
        for service, path in named.items()
    )


def _ask(program: tuple[str, ...], uid: int, gid: int) -> str | None:
    """Run a program as a user and return what it says; None: it did not answer in time."""
    with exclusive.OWN_PROBE, contextlib.suppress(subprocess.TimeoutExpired, ProviderError):
        done = subprocess.run(  # noqa: S603 - a fixed program, with no argument from outside
            program,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            user=uid,
            group=gid,
            extra_groups=[],
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            cwd="/",
            timeout=PATIENCE_S,
        )
        if done.returncode >= 0:  # a signal: the stop itself ends what runs as this user
            return (done.stdout + done.stderr).decode("utf-8", "replace")
    return None


ACTION_CLASSES = (BlockRelaunch,)
