"""Reads a kit: every file once, all mistakes at once, and what was read is what was sealed.

Digests, signatures and values come from the same bytes in memory, so that a file which is swapped while
it is read cannot be checked as one thing and used as another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from breakglass import runbook as runbooks
from breakglass.canon import sha256
from breakglass.errors import BreakglassError, MalformedInput, NotAuthorised
from breakglass.kit.agents import AGENT_NAME, Cards, Surroundings, read_agent
from breakglass.kit.complaints import Complaints, did_you_mean, quoted
from breakglass.kit.fields import Values
from breakglass.kit.files import read_folder, shown
from breakglass.kit.mirrors import read_mirrors
from breakglass.kit.model import DEFAULT_RUNBOOK, AgentFile, Kit, KitSettings, Seal
from breakglass.kit.nodes import Node, parse_yaml
from breakglass.kit.seal import MAX_SEAL_BYTES, SEAL_FILE, differences, make_seal, read_seal
from breakglass.kit.settings import SETTINGS_FILE, read_settings
from breakglass.model.roster import Roster
from breakglass.runbook.loader import NAME, read_runbook
from breakglass.runbook.model import Runbook

ROSTER_FILE = "roster.json"
REMEDY = "Fix the file, then: breakglass kit check"
_SKIP = frozenset({".git"})
_SAMPLE = ".sample"
_STEM = {"agents": AGENT_NAME, "runbooks": NAME}
_FOLDER_OF_SIGNATURES = re.compile(r"(?:kit|roster)\.[1-9][0-9]*")


def load_kit(folder: Path, cards: Cards, *, draft: bool = False, absent_ok: bool = False) -> Kit:
    """Read a kit. Signatures are not counted here: see `breakglass.usecases.kit`.

    `draft` reads one that is being worked on: `Kit.unsealed` then says how it differs from its seal.
    `absent_ok` keeps a reach whose provider is not installed here, so that the rest of a stop can run.

    Raises:
        MalformedInput: something in it is wrong; all of it is named, the first with file:line:column.
        NotAuthorised: a file is not as it was sealed.
    """
    reading = _Reading(folder, read_folder(folder, max_bytes=MAX_SEAL_BYTES, skip=_SKIP), Complaints())
    if SETTINGS_FILE not in reading.files:
        raise MalformedInput(
            f"there is no {SETTINGS_FILE}, so this is not a kit",
            where=reading.at(""),
            remedy="breakglass kit init",
        )
    reading.check_names()
    kit = reading.kit(cards, absent_ok=absent_ok)
    reading.complaints.raise_all(REMEDY)
    if kit is None:  # pragma: no cover - every None above comes with a complaint
        raise MalformedInput("the kit cannot be read", where=reading.at(""))
    if kit.unsealed and not draft:
        raise NotAuthorised(
            "\n".join(kit.unsealed), where=reading.at(SEAL_FILE), remedy="two admins: breakglass kit sign"
        )
    return kit


@dataclass(frozen=True, slots=True)
class _Reading:
    """One pass over one kit."""

    folder: Path
    files: Mapping[str, bytes]
    complaints: Complaints

    def at(self, path: str) -> str:
        root = shown(str(self.folder))
        return f"{root}/{path}" if path else root

    def check_names(self) -> None:
        """Complain about files that look as if they counted and do not."""
        for path in self.files:
            top, _, rest = path.partition("/")
            if top in _STEM:
                if _stem(path) is None and ("/" in rest or not rest.endswith(_SAMPLE)):
                    self.complaints.add(self.at(path), f"is not loaded: {top} are files named <name>.yaml")
            elif rest and _FOLDER_OF_SIGNATURES.fullmatch(top) is None:
                near = did_you_mean(top, tuple(_STEM))
                self.complaints.add(
                    self.at(path), f"unknown folder {quoted(top)}{near}", f"a kit has: {', '.join(_STEM)}"
                )

    def kit(self, cards: Cards, *, absent_ok: bool) -> Kit | None:
        """Read all of it; None where something was noted. What does not parse hides no other mistake."""
        roster = self._roster()
        books = self._runbooks()
        settings = self._settings(roster, books, cards, absent_ok=absent_ok)
        default = DEFAULT_RUNBOOK if settings is None else settings.runbook
        agents = self._agents(Surroundings(cards, tuple(books), default, absent_ok))
        if settings is None or roster is None:
            return None
        contents = make_seal(settings, self.files)
        seal, unsealed = self._seal(contents)
        if len(self.complaints):
            return None
        return Kit(
            folder=self.folder,
            settings=settings,
            agents=MappingProxyType(agents),
            runbooks=MappingProxyType(books),
            roster=roster,
            roster_bytes=self.files[ROSTER_FILE],
            seal_bytes=self.files.get(SEAL_FILE, b""),
            signatures=self._signatures(f"kit.{settings.version if seal is None else seal.version}/"),
            roster_signatures=self._signatures(f"roster.{roster.version}/"),
            digest=sha256(self.files.get(SEAL_FILE, b"")),
            version=settings.version,
            expires=settings.expires,
            contents=contents,
            unsealed=unsealed,
        )

    def _settings(
        self, roster: Roster | None, books: Mapping[str, Runbook], cards: Cards, *, absent_ok: bool
    ) -> KitSettings | None:
        node = self._yaml(SETTINGS_FILE)
        if node is None:
            return None
        known = () if roster is None else tuple(executor.name for executor in roster.executors)
        settings, values = read_settings(node, known, self.complaints)
        self._agree(settings, values, roster, books)
        mirrors = read_mirrors(values.tables("mirrors"), cards, self.complaints, absent_ok=absent_ok)
        return replace(settings, mirrors=mirrors)

    def _yaml(self, path: str) -> Node | None:
        try:
            return parse_yaml(self.files[path], file=self.at(path))
        except MalformedInput as error:
            self.complaints.add_error(error, self.at(path))
            return None

    def _roster(self) -> Roster | None:
        if ROSTER_FILE not in self.files:
            self.complaints.add(self.at(ROSTER_FILE), "is missing: who may sign is written there")
            return None
        try:
            return Roster.from_bytes(self.files[ROSTER_FILE], where=self.at(ROSTER_FILE))
        except BreakglassError as error:
            self.complaints.add_error(error, self.at(ROSTER_FILE))
            return None

    def _runbooks(self) -> dict[str, Runbook]:
        books = dict(runbooks.shipped())
        for path, stem in self._named("runbooks"):
            book = read_runbook(self.files[path], file=self.at(path), stem=stem, complaints=self.complaints)
            if book is not None:
                books[book.name] = book
        return books

    def _agents(self, around: Surroundings) -> dict[str, AgentFile]:
        agents: dict[str, AgentFile] = {}
        for path, stem in self._named("agents"):
            node = self._yaml(path)
            if node is not None:
                agents[stem] = read_agent(node, stem, around, self.complaints)
        return agents

    def _named(self, folder: str) -> list[tuple[str, str]]:
        found = ((path, _stem(path)) for path in self.files if path.startswith(f"{folder}/"))
        return [(path, stem) for path, stem in found if stem is not None]

    def _agree(
        self, settings: KitSettings, values: Values, roster: Roster | None, books: Mapping[str, Runbook]
    ) -> None:
        """Hold the settings against what they name."""
        if settings.runbook not in books:
            self.complaints.add_unknown(
                values.at("runbook"), "runbook", settings.runbook, tuple(books), "runbooks"
            )
        if roster is None:
            return
        if values.has("org") and settings.org != roster.org:
            self.complaints.add(
                values.at("org"), f"org: {quoted(settings.org)}, but roster.json is of {quoted(roster.org)}"
            )
        if settings.drill != roster.drill:
            said = "a drill's" if roster.drill else "a real one"
            self.complaints.add(
                values.at("drill"), f"drill: {str(settings.drill).lower()}, but roster.json is {said}"
            )

    def _seal(self, contents: Seal) -> tuple[Seal | None, tuple[str, ...]]:
        if SEAL_FILE not in self.files:
            return None, (f"{SEAL_FILE} is missing; the kit was never sealed",)
        try:
            seal = read_seal(self.files[SEAL_FILE], where=self.at(SEAL_FILE))
        except MalformedInput as error:
            self.complaints.add_error(error, self.at(SEAL_FILE))
            return None, ()
        return seal, differences(seal, contents)

    def _signatures(self, folder: str) -> tuple[tuple[str, bytes], ...]:
        return tuple(
            (path.removeprefix(folder), data)
            for path, data in sorted(self.files.items())
            if path.startswith(folder) and path.endswith(".sig")
        )


def _stem(path: str) -> str | None:
    """Return the name in ``agents/<name>.yaml`` or ``runbooks/<name>.yaml``; None for any other file."""
    top, _, name = path.partition("/")
    stem = name.removesuffix(".yaml")
    return stem if stem != name and re.fullmatch(_STEM[top], stem, re.ASCII) else None
