"""Runs as the executor, in processes that may die: reads a JSON order a line, answers with its exit code.

Each order is carried out by a process of its own, forked from this one before anything was opened:

    {"verb": "ask | stop | resume", "kit": FOLDER, "home": FOLDER, "incident": ID,
     "plan": FILE, "signatures": [FILE...],          stop
     "die": ["before | after | rename", N],          SIGKILL at the N-th record (or rename) of this process
     "hold": [N, SECONDS],                           go on only so long after the N-th record is durable
     "fill": [N, FILE],                              fill the disk under FILE once the N-th record is durable
     "step_back_s": SECONDS, "step_at": N}           the wall clock jumps back once the N-th record is
                                                     durable, or (without N) before it begins
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from breakglass import registry
from breakglass.clock import Clock, Instant, SystemClock
from breakglass.drill.grounds import AGENT
from breakglass.errors import BreakglassError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.writer import Watch
from breakglass.model.records import Record
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.contain import finish, new_folder, open_signed, open_stop
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.resume import resume
from breakglass.usecases.run import Finished
from breakglass.usecases.site import Site, open_site


@dataclass(slots=True)
class SteppingClock:
    """The machine's clock, until somebody sets the wall clock back."""

    back_s: float = 0.0
    real: Clock = field(default_factory=SystemClock)

    def now(self) -> Instant:
        """Return the wall clock as it was set."""
        return self.real.now().plus(-self.back_s)

    def monotonic_s(self) -> float:
        """Return the clock that nobody can set."""
        return self.real.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.real.sleep(seconds)


@dataclass(slots=True)
class Order:
    """One order, and how many records and renames it came to so far."""

    given: dict[str, object]
    clock: SteppingClock = field(default_factory=SteppingClock)
    before: int = 0
    after: int = 0
    renames: int = 0

    def wants(self, what: str, count: int) -> bool:
        """Return whether it says to die here."""
        return self.given.get("die") == [what, count]

    def about_to_write(self, _record: Record) -> None:
        """Count a record that is not written yet."""
        self.before += 1
        if self.wants("before", self.before):
            die()

    def written(self, _record: Record) -> None:
        """Count a record that is durable, and do what is due."""
        self.after += 1
        if self.wants("after", self.after):
            die()
        filling = self.given.get("fill")
        if isinstance(filling, list) and filling[0] == self.after:
            fill(Path(filling[1]))
        holding = self.given.get("hold")
        if isinstance(holding, list) and holding[0] == self.after:
            self.clock.sleep(holding[1])
        if self.given.get("step_at") == self.after:
            self.clock.back_s = float(str(self.given["step_back_s"]))

    def audit(self, event: str, _arguments: tuple[object, ...]) -> None:
        """Count the renames, which are how whole files come to be."""
        if event == "os.rename":
            self.renames += 1
            if self.wants("rename", self.renames):
                die()


def die() -> NoReturn:
    """End as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def fill(path: Path) -> None:
    """Leave no byte free on the disk that `path` lies on."""
    with suppress(OSError), path.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


def carry_out(order: Order) -> Finished:
    """Do what an executor would do."""
    given = order.given
    if "step_at" not in given:
        order.clock.back_s = float(str(given.get("step_back_s", 0)))
    environ = {"BREAKGLASS_HOME": str(given["home"])}
    site = open_site(Path(str(given["kit"])), environ, order.clock, card_or_none)
    site = replace(site, watch=Watch(order.about_to_write, order.written))
    sys.addaudithook(order.audit)
    if given["verb"] == "stop":
        return stop(site, given)
    if given["verb"] == "ask":
        return ask(site, str(given["incident"]), str(given["person"]))
    folder = IncidentFolder.open(site.home / str(given["incident"]))
    with closing(site.open_ledger()) as ledger:
        return resume(
            site, folder, ledger, site.log_key({}), observer=lambda _event: None, cancelled=lambda: False
        )


def stop(site: Site, given: dict[str, object]) -> Finished:
    """Run the signed plan."""
    signatures = given["signatures"]
    assert isinstance(signatures, list)
    opened = open_signed(site, Path(str(given["plan"])), [Path(str(path)) for path in signatures], None)
    try:
        return finish(opened, {}, observer=lambda _event: None, cancelled=lambda: False)
    finally:
        opened.close()


def ask(site: Site, incident: str, person: str) -> Finished:
    """Plan a stop and go on at once, although nobody has signed yet."""
    request = StopRequest(AGENT, "", "it does what is forbidden", person, None, site.clock.now())
    folder = new_folder(site, None, incident)
    opened = open_stop(site, request, folder, incident, secrets.token_bytes)
    try:
        return finish(opened, {}, observer=lambda _event: None, cancelled=lambda: False)
    finally:
        opened.close()


def answer(order: Order, writer: int) -> int:
    """Carry an order out, say what is to be said, return the exit code that the command line would end in."""
    try:
        done = carry_out(order)
    except BreakglassError as error:
        code, said = error.exit_code, f"{error} | {error.not_done} | {error.remedy}"
    except Exception:  # noqa: BLE001 - told to the test, which fails on it
        code, said = 1, traceback.format_exc()
    else:
        code, said = done.report.verdict.exit_code, f"records {order.after} renames {order.renames}"
    os.write(writer, said.encode())
    return code


def main() -> None:
    """Serve orders until there are no more."""
    import json

    for name in ("host", "oauth"):
        registry.card(name)
    warm_up()
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os._exit(answer(Order(json.loads(line)), writer))
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            text = said.read().decode()
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)  # noqa: T201 - the answer


def warm_up() -> None:
    """Import what every order needs, so that each costs no more than a fork."""
    import yaml  # noqa: F401 - imported for its own sake, as the two above
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401


if __name__ == "__main__":
    main()
