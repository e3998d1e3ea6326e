"""The program that is sent is whole, alone, always the same, and is run from memory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass.model.resource import Reach
from breakglass_host import CARD
from breakglass_host.remote import login
from breakglass_host.remote.bundle import bundle
from providers.host.tests.rig_b import connection
from tests.backends import need

START = login._START  # noqa: SLF001 - the very text that a machine is given
INSIDE = """
import os, sys, threading
names = sorted(name for name in sys.modules if name.startswith("breakglass"))
from breakglass_host import netns, procfs
from importlib.util import find_spec
print("\\n".join(names))
print("source", len(netns._source("inside")) > 1000, netns.__loader__.get_source(netns.__name__)[:3])
print("files", [m for m in names if getattr(sys.modules[m], "__file__", None)])
print("absent", find_spec("breakglass_host.remote.host"), find_spec("breakglass_host.sandbox"))
print("rows", netns.run(netns.own(), {"place": {"control": True, "cgroup": "", "uid": None}}).keys())
"""


def sent(tmp_path: Path, code: str) -> subprocess.CompletedProcess[bytes]:
    """Start the program as another machine does, in an empty folder; then run `code` instead of serving."""
    program = bundle()
    boot = program.boot.replace("runner.main(stream, out)", f"os.dup2(out, 1); exec({code!r})")
    head = f"{len(boot.encode())}\n{boot}{len(program.data)} {program.sha256}\n".encode()
    return subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", START, "marker"],
        input=head + program.data,
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={},
    )


def test_the_program_needs_nothing_that_is_not_sent(tmp_path: Path) -> None:
    """No site-packages, no file of ours: every module comes from memory, and helpers get their text."""
    need("host", os.geteuid() == 0, "looking into namespaces needs root")
    done = sent(tmp_path, INSIDE)
    said = done.stdout.decode()

    assert b"" == done.stderr
    assert "marker up" in said
    assert "breakglass_host.connect" in said
    assert 'source True """' in said
    assert "files []" in said
    assert "absent None None" in said
    assert "rows dict_keys(['attempts'])" in said
    assert [] == list(tmp_path.iterdir())


def test_every_module_of_it_can_be_imported_alone(tmp_path: Path) -> None:
    """None needs what stays with the executor: no SDK, no core beyond the port."""
    code = """
import importlib, sys
[finder] = [one for one in sys.meta_path if type(one).__name__ == "FromMemory"]
for name in sorted(finder._sources):
    if not name.endswith((".boot", ".inside")):
        importlib.import_module(name)
odd = [n for n in sys.modules if n.startswith("breakglass.") and n.split(".")[1] not in
       ("errors", "canon", "clock", "shape", "model", "provider")]
print("odd", odd)
"""
    done = sent(tmp_path, code)

    assert b"" == done.stderr
    assert b"odd []" in done.stdout


def test_a_program_that_arrives_otherwise_is_not_run(tmp_path: Path) -> None:
    """The digest is checked there before anything is imported."""
    program = bundle()
    boot = program.boot
    head = f"{len(boot.encode())}\n{boot}{len(program.data)} {'0' * 64}\n".encode()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", START, "marker"],
        input=head + program.data,
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )

    assert 94 == done.returncode
    assert b"marker failed ValueError: the program did not arrive as it was sent" in done.stdout


def test_the_digest_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Whatever the hash seed, the order of files or what was imported before."""
    code = "from breakglass_host.remote.bundle import bundle; print(bundle().sha256)"
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    ]

    assert said[0] == said[1]
    assert len(bundle().data) < 400_000


def test_another_program_than_the_signed_plan_names_is_not_sent(tmp_path: Path) -> None:
    """Breakglass was changed between the signatures and the run: nothing is connected."""
    made = connection(tmp_path / "incident")
    settings = {
        "host": "ssh://root@192.0.2.1",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr",
        "user": "daemon",
    }
    with pytest.raises(Denied, match="not the one that the signed plan names") as caught:
        CARD.connect(replace(made, reach=Reach("host", settings, "plan reach 0", "0" * 64)))

    assert "make the plan again" in caught.value.remedy
