"""Runs an evidence action inside a machine, with its stock Python and nothing installed."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import breakglass
import breakglass_host
from breakglass.canon import Json
from breakglass_host.machine import Machine

SOURCES = "opt/breakglass-evidence"
DRIVER = """
import dataclasses, importlib, json, sys, time
from pathlib import Path
from breakglass.clock import Instant, SystemClock
from breakglass.errors import ProviderError
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Connection

asked = json.load(sys.stdin)
module = importlib.import_module(asked["module"])
where = IncidentFolder.create(Path(asked["folder"]))
connection = Connection(
    Reach("host", asked["settings"], "kit:1"), AgentRef("bot", "platform", None), "inc-1", True,
    SystemClock(), FolderEvidence(where), FolderSealed(where), None,
    since=Instant(asked["since_ms"]) if asked["since_ms"] is not None else None,
)
proposed = module.propose(connection, "freeze", "kill")
answer = {"not_touched": [[one.resource, one.reason] for one in proposed.not_touched], "steps": []}
for one in proposed.proposals:
    (action,) = (made for cls in module.ACTION_CLASSES if (made := cls(connection)).spec.name == one.action)
    target, refused = one.target, ""
    asked_first = action.judge(target, action.observe(target)).verdict
    began = time.monotonic()
    try:
        action.apply(target, action.observe(target), "token")
    except ProviderError as error:
        refused = str(error)
    took_s = time.monotonic() - began
    try:
        action.apply(target, action.observe(target), "again")
    except ProviderError as error:
        assert refused == str(error)
    state = action.observe(target)
    judgement = action.judge(target, state)
    answer["steps"].append({
        "key": one.key, "label": target.label, "params": dict(target.params), "first_verdict": asked_first,
        "refused": refused, "took_s": took_s, "objects": dict(state.objects), "complete": state.complete,
        "verdict": judgement.verdict, "reason": judgement.reason,
    })
json.dump(answer, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one step did and left."""

    step: Mapping[str, Any]
    evidence: Path

    @property
    def files(self) -> dict[str, Path]:
        """Return the evidence by the last part of its name."""
        return {path.name: path for path in self.evidence.rglob("*") if path.is_file()}

    def ending(self, suffix: str) -> Path:
        """Return the one piece of evidence whose name ends so."""
        [found] = [path for name, path in self.files.items() if name.endswith(suffix)]
        return found

    def facts(self, key: str) -> Mapping[str, Any]:
        """Return one object of the state."""
        found: Mapping[str, Any] = self.step["objects"][key]
        return found

    @property
    def everything(self) -> bytes:
        """Return all bytes of all evidence."""
        return b"\n".join(path.read_bytes() for path in self.files.values())


def install(machine: Machine) -> None:
    """Copy our sources into the machine."""
    place = machine.root / SOURCES
    for package in (breakglass, breakglass_host):
        [folder] = package.__path__
        to = place / package.__name__
        if not to.exists():
            shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__"))


def ask(
    machine: Machine,
    module: str,
    settings: Mapping[str, Json],
    *,
    since_ms: int | None = None,
    name: str = "one",
) -> tuple[Mapping[str, Any], list[Seen]]:
    """Plan and carry out what a module proposes; return its whole answer, and each step with its evidence."""
    install(machine)
    folder = f"/{SOURCES}/incident-{name}"
    asked = {
        "module": f"breakglass_host.actions.{module}",
        "settings": {"host": "local", **settings},
        "since_ms": since_ms,
        "folder": folder,
    }
    command = f"PYTHONPATH=/{SOURCES} python3 -I -c {shlex.quote(_with_path(DRIVER))}"
    done = machine.run(f"printf %s {shlex.quote(json.dumps(asked))} | {command}", timeout_s=60)
    answer = json.loads(done.stdout)
    evidence = machine.root / folder.lstrip("/") / "evidence"
    return answer, [Seen(step, evidence) for step in answer["steps"]]


def _with_path(code: str) -> str:
    return f"import sys; sys.path.insert(0, '/{SOURCES}')\n{code}"
