"""Makes the draft of a kit from the public keys of three or more persons, or makes nothing at all."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.roster_chain import Anchor
from breakglass.authorise.roster_lint import lint
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised, UsageError
from breakglass.journal.durable import refused, replace, sync_folder
from breakglass.keys.public_key import PublicKey
from breakglass.kit.files import read_file, shown
from breakglass.kit.load import load_kit
from breakglass.kit.seal import seal_bytes
from breakglass.kit.settings import SHORT_NAME, SSH_AGENT
from breakglass.model.roster import (
    ExecutorKey,
    KeyStore,
    OperatorKey,
    Person,
    Role,
    Roster,
    Rule,
    RuleVerb,
)

MIN_PEOPLE = 3
ROSTER_DAYS = 60
KEY_DAYS = 365
DAY_S = 86_400
MAX_KEY_FILE_BYTES = 16 * 1024
EVERYBODY = (Role.RESPONDER, Role.APPROVER, Role.ADMIN)
"""With three persons each rule needs two of three, one to spare: so all have all roles to begin with."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A person, or an executor, and a public key: the line itself or the path of a .pub file."""

    name: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Enrolment:
        """Read ``NAME=KEY``.

        Raises:
            UsageError: there is no name or no key.
        """
        name, _, key = text.partition("=")
        if not name or not key:
            raise UsageError(
                f'"{shown(text[:80])}" is not NAME=KEY, where KEY is a public key or its .pub file'
            )
        return cls(name, key)


@dataclass(frozen=True, slots=True)
class Draft:
    """A kit that nobody signed yet."""

    folder: Path
    anchor: Anchor
    """To be installed as /etc/breakglass/anchor on every machine that trusts this kit."""
    missing: tuple[str, ...]
    """What is still to be done, one line each."""


def kit_init(  # noqa: PLR0913 - each is one answer that only a person can give
    folder: Path,
    *,
    org: str,
    people: Sequence[Enrolment],
    executor: Enrolment,
    log_key: str,
    now: Instant,
    drill: bool = False,
) -> Draft:
    """Write the draft into `folder`, which must be absent or empty.

    `executor` carries the public half of its log key, `log_key` says where the private half is: an
    absolute path on that machine, or ``ssh-agent``.

    Raises:
        UsageError: an answer makes no sense, or the folder is in use.
        MalformedInput: a key cannot be read or is of no use.
    """
    _check_folder(folder)
    _check_names(org, [*people, executor])
    if log_key != SSH_AGENT and not Path(log_key).is_absolute():
        raise UsageError(f"the log key is ssh-agent or an absolute path, not {shown(log_key[:80])}")
    roster = _roster(org, people, executor, now, drill=drill)
    if complaints := lint(roster):
        raise MalformedInput("\n".join(complaints), where="roster")
    settings = _SETTINGS.format(
        org=json.dumps(org),
        expires=str(roster.expires),
        drill=json.dumps(drill),
        executor=json.dumps(executor.name),
        log_key=json.dumps(log_key),
    )
    _write(folder, roster.to_bytes(), settings)
    anchor = Anchor.of(roster.to_bytes())
    return Draft(folder, anchor, _missing(folder, anchor, drill=drill))


def _missing(folder: Path, anchor: Anchor, *, drill: bool) -> tuple[str, ...]:
    where = shown(str(folder))
    place = shown(str(folder.absolute().parent / "anchor")) if drill else "/etc/breakglass/anchor"
    printed = f"put the line that was printed, the anchor ({anchor.roster_sha256[:8]}), at {place}"
    return (
        f"describe each agent: {where}/agents/<name>.yaml, from agents/example.yaml.sample",
        f"look through {where}/breakglass.yaml and {where}/roster.json",
        "two admins sign the roster: breakglass roster sign",
        "two admins sign the kit: breakglass kit sign",
        printed if drill else f"on each executor, as root: {printed}",
        "then: breakglass kit check",
    )


def _check_folder(folder: Path) -> None:
    where = shown(str(folder))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError("is there and is not a folder", where=where)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("is not empty; a kit begins in a folder of its own", where=where)
    if not folder.absolute().parent.is_dir():
        raise UsageError("the folder above it does not exist", where=where)


def _check_names(org: str, everybody: Sequence[Enrolment]) -> None:
    people = everybody[:-1]
    if len(people) < MIN_PEOPLE:
        raise UsageError(f"{len(people)} persons; a kit needs {MIN_PEOPLE}: two who sign, and one to spare")
    for name in (org, *(one.name for one in everybody)):
        if re.fullmatch(SHORT_NAME, name) is None:
            raise UsageError(f'"{shown(name[:80])}" is not a short ASCII name')
    for one in people:
        if "/" in one.name:
            raise UsageError(f'"{one.name}": a person\'s name names a file and holds no slash')


def _roster(
    org: str, people: Sequence[Enrolment], executor: Enrolment, now: Instant, *, drill: bool
) -> Roster:
    keys = [(one.name, _public_key(one)) for one in people]
    return Roster(
        v=1,
        type="roster",
        org=org,
        drill=drill,
        version=1,
        issued=now,
        expires=now.plus(ROSTER_DAYS * DAY_S),
        previous=None,
        operators=tuple(
            Person(name, EVERYBODY, (OperatorKey(key.line, _store(key), now.plus(KEY_DAYS * DAY_S)),))
            for name, key in keys
        ),
        executors=(ExecutorKey(executor.name, _public_key(executor).line),),
        rules=tuple(_rule(verb) for verb in RuleVerb),
        revoked_keys=(),
    )


def _store(key: PublicKey) -> KeyStore:
    """Take a software key for one in an ssh-agent: the roster can say otherwise; signing does not care."""
    return KeyStore.FIDO2 if key.hardware else KeyStore.SSH_AGENT


def _rule(verb: RuleVerb) -> Rule:
    """Return the rule that a verb begins with: two persons, no hardware asked for (DESIGN 6)."""
    deciders = (Role.APPROVER, Role.COMMANDER)
    roles = {
        RuleVerb.CONTAIN: (Role.RESPONDER, *deciders),
        RuleVerb.RESTORE: deciders,
        RuleVerb.DESTROY: deciders,
    }
    life_s = {RuleVerb.CONTAIN: 1800, RuleVerb.RESTORE: 900, RuleVerb.DESTROY: 900}
    return Rule(
        verb=verb,
        people=2,
        roles=roles.get(verb, (Role.ADMIN,)),
        hardware=0,
        user_verification=False,
        max_ttl_s=life_s.get(verb, DAY_S),
        standing_max_ttl_s=7 * DAY_S if verb is RuleVerb.CONTAIN else 0,
    )


def _public_key(one: Enrolment) -> PublicKey:
    where, line = one.name, one.key
    if len(line.split()) == 1:
        path = Path(line)
        where = shown(line[:200])
        data = read_file(path.resolve(), max_bytes=MAX_KEY_FILE_BYTES)
        line = data.decode("utf-8", "replace").strip()
    if "PRIVATE KEY" in line:
        raise MalformedInput("this is a private key; give the public one, its .pub file", where=where)
    if "\n" in line:
        raise MalformedInput("more than one key; give one key a person", where=where)
    try:
        return PublicKey.parse(line)
    except NotAuthorised as error:
        raise MalformedInput(
            error.what, where=where, remedy="ssh-keygen -t ed25519, or ed25519-sk for a FIDO key"
        ) from error


def _write(folder: Path, roster: bytes, settings: str) -> None:
    """Write all of it beside the folder, read it back as a kit, and only then give it its name."""
    folder = folder.absolute()
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise refused(error, folder) from error
    try:
        for name in ("agents", "runbooks"):
            (partial / name).mkdir()
        publish(partial / "breakglass.yaml", settings.encode())
        publish(partial / "roster.json", roster)
        publish(partial / "agents" / "example.yaml.sample", SAMPLE.encode())
        kit = load_kit(partial, lambda _name: None, draft=True)
        publish(partial / "kit.json", seal_bytes(kit.contents))
        partial.chmod(0o755)
        partial.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise refused(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(path: Path, data: bytes) -> None:
    """Put a file of a kit in its place, whole and durably; everybody may read it."""
    replace(path, data)
    path.chmod(0o644)


_SETTINGS = """\
# The settings of this kit. After a change: raise the version, then two admins run breakglass kit sign.
v: 1
org: {org}
version: 1
expires: {expires}
drill: {drill}

# enforced: no person can use the executor's rights alone (breakglass doctor asks the platforms).
# Until that has been looked at, the honest word is advisory; plans and reports print it.
two_person_rule: advisory
two_person_reason: nobody has looked yet at who can use the executor's rights alone

# The machines that may run a stop; their log keys are in roster.json. The first one starts.
executors:
  - name: {executor}
    log_key: {log_key}

# exchange: /srv/breakglass           # a folder that all operators see, for requests
# runbook: prompt-injection           # of agents that name none
# deadlines: {{step_s: 60, stop_s: 900, sign_s: 1800}}
"""

SAMPLE = """\
# Copy to support-bot.yaml, one file an agent. A file that ends in .sample is not loaded.
agent: support-bot                    # as the file's name
owner: support-platform
class: customer-facing                # optional: breakglass stop --class
who_can_stop: any two of the on-call responders; page support-platform
# runbook: prompt-injection           # optional: of a stop that names none
reach:                                # where it acts; breakglass providers show NAME lists the keys
  - provider: host
    host: ssh://breakglass@bot-7.example.com      # or: local
    # of that machine (put its own here; another one is refused):
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    unit: support-bot.service
    user: support-bot                 # an account that runs nothing but the agent
# - provider: kubernetes              # docs/kubernetes.md; breakglass providers show kubernetes
#   server: https://prod-eu.example.com:6443      # as in the executor's kubeconfig; as: its context
#   cluster_uid: 6f0c2f0e-7d3b-4c61-9d43-0d4e6f0f6f00     # kubectl get namespace kube-system -o yaml
#   namespace: support-bot            # and a selector, or own_namespace: true
#   selector: app=support-bot
#   service_accounts: [support-bot/support-bot]
tools:                                # what it can do elsewhere; without a step they stay open
  - name: refund
    effect: money                     # read, write, external, money or irreversible
    credential: stripe key
    issuer: Stripe
    revoke_at: https://dashboard.stripe.com/apikeys
    owner: payments
  - {name: search-tickets, effect: read}
# deployers:                          # what would put it back
#   - {kind: argocd, namespace: argocd, name: support-bot}
"""
