"""An agent on other machines, the kit that describes it, and the operators who stop it: all of it real."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from breakglass.canon import Json
from breakglass.clock import Instant, SystemClock
from breakglass.drill.grounds import AGENT, ORG, Grounds, People, enrol, write_json, write_kit
from breakglass.execute.context import StepEvent
from breakglass.incident.folder import IncidentFolder
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import Detection, Plan, TimeSource
from breakglass.report.build import Report
from breakglass.testing.operators import Operator
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.contain import finish, new_folder, open_stop
from breakglass.usecases.kit_signing import kit_sign
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.restore import RestoreRequest, open_restore
from breakglass.usecases.resume import resume
from breakglass.usecases.run import Finished
from breakglass.usecases.site import Site, open_site
from breakglass_host.machine import Machine

CLOCK = SystemClock()
INCIDENT = "inc-fleet"
RUNBOOK = Path(__file__).parents[2] / "runbooks" / "prompt-injection.yaml"
Observer = Callable[[StepEvent], None]


def quiet(_event: StepEvent) -> None:
    """Show nothing of a step."""


@dataclass(slots=True)
class Fleet:
    """One agent on any number of machines, and everything that it takes to stop it."""

    grounds: Grounds
    site: Site
    operators: tuple[Operator, ...]

    @property
    def incident(self) -> IncidentFolder:
        """Return the folder of the one incident."""
        return IncidentFolder(self.grounds.operator / "incidents" / INCIDENT)

    def sign(self, folder: IncidentFolder, *operators: Operator) -> None:
        """Lay signatures beside a plan."""
        raw = folder.plan.read_bytes()
        for operator in operators:
            armored = operator.signer.sign(raw, namespace("plan", ORG))
            (folder.path / f"{operator.name}.sig").write_bytes(armored)

    def stop(
        self,
        *,
        began: Instant | None = None,
        observer: Observer = quiet,
        planned: Callable[[Plan], None] = lambda _plan: None,
    ) -> tuple[Plan, Finished]:
        """Plan, sign twice, carry out; `planned` is called before anybody signs."""
        folder = new_folder(self.site, None, INCIDENT)
        began = began or CLOCK.now().plus(-60)
        request = StopRequest(
            AGENT,
            "",
            "it does what is forbidden",
            self.operators[0].name,
            Detection(began, CLOCK.now(), TimeSource.STATED, "a test"),
            CLOCK.now(),
        )
        opened = open_stop(self.site, request, folder, INCIDENT, secrets.token_bytes)
        try:
            planned(opened.run.plan)
            self.sign(folder, *self.operators[:2])
            done = finish(opened, {}, observer=observer, cancelled=lambda: False)
        finally:
            opened.close()
        return opened.run.plan, done

    def resume(self) -> Finished:
        """Go on with the incident, as `breakglass resume`."""
        with closing(self.site.open_ledger()) as ledger:
            return resume(
                self.site,
                self.incident,
                ledger,
                self.site.log_key({}),
                observer=quiet,
                cancelled=lambda: False,
            )

    def restore(self, **chosen: str) -> tuple[Plan, Report]:
        """Undo the stop on two signatures of its own, with what was chosen of what its steps offer."""
        wish = RestoreRequest("the test is over", self.operators[0].name, chosen)
        opened = open_restore(self.site, self.incident, wish, secrets.token_bytes)
        try:
            self.sign(opened.run.folder, *self.operators[1:3])
            done = finish(opened, {}, observer=quiet, cancelled=lambda: False)
        finally:
            opened.close()
        return opened.run.plan, done.report


def reach(machine: Machine, **settings: Json) -> dict[str, object]:
    """Return how an inventory names an agent on a machine."""
    return {
        "provider": "host",
        "host": machine.url,
        "host_key": machine.host_key,
        "ssh_config": str(machine.ssh_config),
        **settings,
    }


@contextmanager
def quick_fleet(
    reaches: Sequence[Mapping[str, object]],
    held: Mapping[str, bytes],
    *,
    step_s: int = 30,
    deployers: Sequence[Json] = (),
) -> Iterator[Fleet]:
    """Write and sign a kit whose steps give up after `step_s`; `held` are the executor's secrets by name."""
    with fleet(reaches, step_s=step_s, deployers=deployers) as ours:
        for name, data in held.items():
            give(ours, name, data)
        yield ours


def give(ours: Fleet, name: str, data: bytes) -> None:
    """Lay a secret where the executor looks for it, all of it at once."""
    folder = ours.grounds.operator / "credentials"
    fresh = folder / f"fresh-{name}"
    fresh.touch(0o600)
    fresh.write_bytes(data)
    fresh.rename(folder / name)


@contextmanager
def fleet(
    reaches: Sequence[Mapping[str, object]],
    *,
    tools: Sequence[Json] = (),
    step_s: int | None = None,
    deployers: Sequence[Json] = (),
) -> Iterator[Fleet]:
    """Write and sign the kit of an agent with these reaches; remove it afterwards.

    `step_s`: what stays open shall not take minutes.
    """
    base = Path(tempfile.mkdtemp(prefix="breakglass-fleet-"))
    try:
        grounds = Grounds(base)
        grounds.lay_out()
        people = _people(grounds)
        write_kit(grounds, people, CLOCK, "prompt-injection", reaches, "https://issuer.invalid")
        if step_s is not None:
            (grounds.kit / "runbooks").mkdir()
            hurried = re.sub(r"deadline_s: \d+", f"deadline_s: {step_s}", RUNBOOK.read_text("utf-8"))
            (grounds.kit / "runbooks" / RUNBOOK.name).write_text(hurried, encoding="utf-8")
        entry = {
            "agent": AGENT,
            "owner": "the test",
            "class": "drill",
            "who_can_stop": "any two",
            "reach": [dict(one) for one in reaches],
            "tools": list(tools),
            "deployers": list(deployers),
        }
        write_json(grounds.kit / "agents" / f"{AGENT}.yaml", entry)
        for operator in people.operators[:2]:
            kit_sign(grounds.kit, operator.signer, card_or_none, CLOCK.now())
        home = {"BREAKGLASS_HOME": str(grounds.operator / "incidents")}
        yield Fleet(grounds, open_site(grounds.kit, home, CLOCK, card_or_none), people.operators)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _people(grounds: Grounds) -> People:
    """Lay out the keys of the same persons and the same executor for every fleet of this process."""
    people, files = _enrolled()
    keys = grounds.operator / "keys"
    keys.mkdir(0o700)
    for name, data in files.items():
        (keys / name).touch(0o600)
        (keys / name).write_bytes(data)
    return people


@cache
def _enrolled() -> tuple[People, Mapping[str, bytes]]:
    """Enrol them, once: to encrypt and to open their key files takes most of what a fleet costs."""
    with tempfile.TemporaryDirectory(prefix="breakglass-people-") as folder:
        grounds = Grounds(Path(folder))
        grounds.lay_out()
        people = enrol(grounds, CLOCK)
        files = {one.name: one.read_bytes() for one in (grounds.operator / "keys").iterdir()}
    return people, files
