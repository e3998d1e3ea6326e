"""What the tests of units share: a machine with the product's sources in it, and runs of a stop inside."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakglass.canon import Json
from breakglass_host.machine import Machine

_REPOSITORY = Path(__file__).parents[3]
_SOURCES = {"breakglass": "breakglass", "providers/host/src/breakglass_host": "breakglass_host"}
_LISTED = "/etc/systemd /run/systemd/system /usr/lib/systemd/system"


@dataclass(frozen=True, slots=True)
class Inside:
    """A machine with the product in it, as `host: local`."""

    machine: Machine

    def run(self, script: str, *, check: bool = True) -> str:
        """Run a script there; return what it prints."""
        return self.machine.run(script, check=check, timeout_s=60).stdout

    def unit(self, name: str, text: str, *, folder: str = "/etc/systemd/system") -> None:
        """Write a file, which may lie in what is mounted inside alone."""
        where, data = shlex.quote(f"{folder}/{name}"), base64.b64encode(text.encode()).decode()
        self.run(f"mkdir -p {shlex.quote(folder)}; echo {data} | base64 -d > {where}")

    def stop(self, settings: Mapping[str, Json], *, only: str = "", die: int = 0) -> dict[str, Any]:
        """Stop the agent; `only`: the steps whose keys begin so; `die`: kill it before so many verbs."""
        return self._call("stop", settings, only, die)

    def restore(self, settings: Mapping[str, Json], *, die: int = 0) -> dict[str, Any]:
        """Put everything back."""
        return self._call("restore", settings, "", die)

    def show(self, name: str, *properties: str) -> list[str]:
        """Return properties of a unit."""
        lines = self.run(f"systemctl show -p {','.join(properties)} -- {shlex.quote(name)}").splitlines()
        found = dict(line.split("=", 1) for line in lines if line)
        return [found.get(key, "") for key in properties]

    def listing(self) -> str:
        """Return every file, link and folder of systemd's: mode, owner, time, target and digest."""
        return self.run(
            f"find {_LISTED} -printf '%p %M %U %G %T@ %l\\n' | sort;"
            f" find {_LISTED} -type f -print0 | sort -z | xargs -0 sha256sum"
        )

    def _call(self, verb: str, settings: Mapping[str, Json], only: str, die: int) -> dict[str, Any]:
        words = shlex.quote(json.dumps(dict(settings)))
        # Not by ssh: the machine keeps CAP_NET_ADMIN from those inside, and cutting egress needs it.
        command = (
            f"PYTHONPATH=/opt/bg BG_ONLY={shlex.quote(only)} BG_DIE={die}"
            f" /usr/bin/python3 -P -B /opt/bg/driver.py {verb} {words}"
        )
        done = self.machine.run(command, check=False, timeout_s=100)
        if die and done.returncode == 9:
            return {}
        assert done.returncode == 0, done.stderr + done.stdout
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def inside(machine: Machine) -> Inside:
    """Put the product's sources into a machine."""
    where = machine.root / "opt/bg"
    where.mkdir(parents=True)
    for source, name in _SOURCES.items():
        shutil.copytree(_REPOSITORY / source, where / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("units_inside_s.py"), where / "driver.py")
    return Inside(machine)


def verdicts(said: Mapping[str, Any]) -> dict[str, str]:
    """Return what each step ended as, by the first word of its key."""
    return {key.partition(":")[0]: one[0] for key, one in said["steps"].items()}
