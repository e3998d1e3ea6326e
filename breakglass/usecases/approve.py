"""How a second person signs: a request comes by any channel, a signature or a refusal goes back by any."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.rejection import Rejection, read_rejection, sign_rejection
from breakglass.authorise.request import (
    REQUEST,
    Approval,
    decode_approval,
    decode_rejection,
    decode_request,
    encode_approval,
    encode_rejection,
    encode_request,
)
from breakglass.authorise.words import check_words
from breakglass.canon import canonical, sha256
from breakglass.clock import Instant
from breakglass.errors import BreakglassError, MalformedInput, NotAuthorised, UsageError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.durable import read_given, read_regular, replace
from breakglass.keys.signer import Signer
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import MAX_PLAN_BYTES, Plan, plan_digest
from breakglass.model.roster import Person, Roster
from breakglass.provider import Provider
from breakglass.shape import encode

REQUEST_FILE = "request.txt"
MAX_PATH = 1024
"""A longer text is no place that a person types; the operating system would refuse it with an error."""
MAX_SIGNATURE_FILE_BYTES = 8 * 1024
"""No signature is larger (`breakglass.keys.sshsig`), and many that are smaller fit under the cap of all."""


@dataclass(frozen=True, slots=True)
class Request:
    """A plan that somebody asks to sign: the raw bytes, and all that is shown comes from them."""

    plan: Plan
    raw: bytes
    folder: Path | None
    """Where the request lies, and where the signature goes; None for a pasted string."""

    @property
    def digest(self) -> str:
        """Return the digest of the bytes that will be signed."""
        return plan_digest(self.raw)

    @property
    def words(self) -> tuple[str, ...]:
        """Return six words; both persons read them aloud."""
        return check_words(self.digest)


def read_request(text: str, *, exchange: Path | None, home: Path, pasted: bytes = b"") -> Request:
    """Read a request: a pasted string, a file, an incident's folder, or its id; ``-`` reads `pasted`.

    Raises:
        UsageError: there is no such request.
        MalformedInput: it is not a plan.
    """
    if text == "-":
        text = pasted.decode("utf-8", "replace").strip()
        if text.startswith("{"):
            return _request(text.encode(), None, "standard input")
    if text.startswith(REQUEST):
        return _request(decode_request(text), None, "request")
    for candidate in _places(text, exchange, home):
        if candidate.is_file():
            data = read_given(candidate, max_bytes=MAX_PLAN_BYTES)
            if data.startswith(REQUEST.encode()):
                return _request(
                    decode_request(data.decode("ascii", "replace").strip()), candidate.parent, str(candidate)
                )
            return _request(data, candidate.parent, str(candidate))
    raise UsageError(
        f"no request {text[:80]!r}: not a file, not an incident, not a string that begins with {REQUEST}",
        remedy="ask the first operator for the string, or for the file request.txt",
    )


def _places(text: str, exchange: Path | None, home: Path) -> list[Path]:
    if len(text.encode()) > MAX_PATH or "\0" in text:
        return []
    path = Path(text)
    places = [path, path / "plan.json"]
    if "/" not in text and text not in {".", ".."}:
        places += [folder / path / "plan.json" for folder in (exchange, home) if folder is not None]
    return places


def _request(raw: bytes, folder: Path | None, where: str) -> Request:
    return Request(Plan.from_bytes(raw, where=where), raw, folder)


def exchange_of(exchange: Path | None, claim: str) -> Path | None:
    """Return the folder of one run in the exchange: by incident, not by where its folder happens to lie."""
    return None if exchange is None else exchange / claim.replace("/", ".")


def publish(folder: IncidentFolder, raw: bytes, exchange: Path | None) -> str | None:
    """Lay the request out as a file, and in the exchange; return the pasteable string, None if too long.

    An exchange that cannot be written, or where somebody laid something in the request's place, is left
    out: the file and the string still travel, and a folder that many can write must not prevent a stop.

    Raises:
        DiskRefused: a file could not be written.
    """
    text = encode_request(raw)
    if text is not None:
        folder.write(REQUEST_FILE, f"{text}\n".encode())
    if exchange is not None:
        with contextlib.suppress(OSError, BreakglassError):
            exchange.parent.mkdir(parents=True, exist_ok=True)
            exchange.mkdir()
            # Approvers have accounts of their own and lay their signatures here; each file stays its owner's.
            exchange.chmod(0o1777)
            replace(exchange / "plan.json", raw)
            if text is not None:
                replace(exchange / REQUEST_FILE, f"{text}\n".encode())
    return text


def sign(request: Request, person: Person, signer: Signer) -> Approval:
    """Sign the raw bytes of a plan. Raises NotAuthorised when the key will not."""
    signature = signer.sign(request.raw, namespace("plan", request.plan.org))
    return Approval(person.person, request.digest, signature)


def deliver(approval: Approval, request: Request) -> tuple[str, Path | None]:
    """Return the pasteable approval, and write the signature beside the request where there is a place."""
    path = None
    if request.folder is not None:
        path = request.folder / f"{approval.person}.sig"
        try:
            replace(path, approval.signature)
            path.chmod(0o644)
        except (OSError, BreakglassError):
            path = None  # The folder is the executor's and not ours: the string still travels.
    return encode_approval(approval), path


def reject(request: Request, person: Person, signer: Signer, why: str, at: Instant) -> str:
    """Sign a refusal and return it as a pasteable string; it is also laid beside the request."""
    rejection = Rejection.of(request.digest, person.person, why, at)
    text = encode_rejection(*sign_rejection(rejection, signer, request.plan.org))
    if request.folder is not None:
        try:
            replace(request.folder / f"{person.person}.rejection", f"{text}\n".encode())
            (request.folder / f"{person.person}.rejection").chmod(0o644)
        except (OSError, BreakglassError):
            pass  # As in `deliver`.
    return text


def accept(folder: IncidentFolder, digest: str, text: str) -> str:
    """Take a pasted approval into the incident's folder; return the person. It counts only if it verifies.

    Raises:
        MalformedInput: cut short or changed.
        NotAuthorised: it is for another plan.
    """
    approval = decode_approval(text)
    if approval.plan_sha256 != digest:
        raise NotAuthorised(
            f"this approval is for another plan ({approval.plan_sha256[:8]}), not for this one ({digest[:8]})"
        )
    if "/" in approval.person:
        raise MalformedInput("a person's name holds no slash", where="approval")
    keep(folder, approval.person, "sig", approval.signature)
    return approval.person


def keep(folder: IncidentFolder, person: str, kind: str, data: bytes) -> None:
    """Keep what claims to be of a person; something else under that name stays: either may be junk.

    Raises:
        DiskRefused: the disk would not.
    """
    name = f"{person}.{kind}"
    path = folder.path / name
    if path.exists() and read_regular(path, max_bytes=MAX_SIGNATURE_FILE_BYTES) == data:
        return
    folder.write(f"{person}.{sha256(data)[:8]}.{kind}" if path.exists() else name, data)


def collect(
    folder: IncidentFolder,
    exchange: Path | None,
    roster: Roster,
    counts: Callable[[bytes], bool],
    refuses: Callable[[bytes], bool],
) -> None:
    """Take the signatures and refusals of the roster's people from the exchange.

    Many can write there. So only the names that `deliver` uses are looked at, and what does not verify is
    taken once, to be shown, and never in the place of what does.
    """
    if exchange is None:
        return
    for person in roster.operators:
        for kind, verifies in (("sig", counts), ("rejection", refuses)):
            try:
                data = read_regular(exchange / f"{person.person}.{kind}", max_bytes=MAX_SIGNATURE_FILE_BYTES)
                if verifies(data) or not (folder.path / f"{person.person}.{kind}").exists():
                    keep(folder, person.person, kind, data)
            except BreakglassError:
                continue  # Junk in a shared folder must not keep a real signature out.


def rejections(folder: IncidentFolder, digest: str, roster: Roster) -> tuple[Rejection, ...]:
    """Return the refusals of this plan whose signature verifies."""
    found: list[Rejection] = []
    for path in sorted(folder.path.glob("*.rejection")):
        with contextlib.suppress(BreakglassError):
            data = read_regular(path, max_bytes=MAX_SIGNATURE_FILE_BYTES)
            if (rejection := rejection_in(data, digest, roster)) is not None:
                found.append(rejection)
    return tuple(found)


def rejection_in(data: bytes, digest: str, roster: Roster) -> Rejection | None:
    """Return a refusal of this plan whose signature verifies; None for anything else."""
    try:
        text = data.decode("ascii", "replace").strip()
        rejection = read_rejection(*decode_rejection(text), roster)
    except (MalformedInput, NotAuthorised, UnicodeError):
        return None
    return rejection if rejection.plan_sha256 == digest else None


def person_named(roster: Roster, name: str | None, keys: Sequence[str]) -> Person:
    """Return who signs: the person named, else the only one who owns one of `keys`.

    Raises:
        UsageError: not in the roster, or it is not clear who is meant.
    """
    if name is not None:
        found = next((person for person in roster.operators if person.person == name), None)
        if found is None:
            known = ", ".join(person.person for person in roster.operators)
            raise UsageError(f"{name!r} is not in the roster; it lists: {known}", remedy="--as PERSON")
        return found
    owners = [person for person in roster.operators if any(key.pub in keys for key in person.keys)]
    if len(owners) != 1:
        which = "no key that is here" if not owners else "keys of several persons are here"
        raise UsageError(f"{which}: say who you are", remedy="--as PERSON")
    return owners[0]


@dataclass(frozen=True, slots=True)
class Difference:
    """A step whose target does not look as it did when the plan was made."""

    step: int
    target: str
    what: str


def recheck(plan: Plan, providers: Mapping[int, Provider]) -> tuple[Difference, ...]:
    """Observe every target with the approver's own credentials and name what differs from the plan."""
    differences: list[Difference] = []
    for step in plan.steps:
        provider = providers.get(step.reach)
        if provider is None:
            differences.append(
                Difference(step.n, step.target.label, "its provider cannot be reached from here")
            )
            continue
        try:
            state = provider.actions[step.action].observe(step.target)
        except BreakglassError as error:
            differences.append(Difference(step.n, step.target.label, f"cannot be read: {error.what}"))
            continue
        if sha256(canonical(encode(state))) != step.observed:
            differences.append(Difference(step.n, step.target.label, "differs from when the plan was made"))
    return tuple(differences)
