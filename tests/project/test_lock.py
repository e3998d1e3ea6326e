"""requirements.lock holds everything that pyproject.toml asks for, with hashes, and names no registry."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, tuple[Version, str]]:
    """Return each pinned package with its version and the rest of its entry."""
    found: dict[str, tuple[Version, str]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", "\n" + LOCK)[1:]:
        pin = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", entry)
        assert pin, entry
        found[canonicalize_name(pin[1])] = (Version(pin[2]), entry)
    return found


def asked() -> Iterator[Requirement]:
    """Return what the project, its extras and its build backend ask for."""
    project = PROJECT["project"]
    for line in [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
        *PROJECT["build-system"]["requires"],
    ]:
        requirement = Requirement(line)
        if requirement.name != project["name"]:
            yield requirement


def test_everything_that_is_asked_for_is_locked_at_a_version_that_fits() -> None:
    """Whoever changes pyproject.toml runs `make lock` too."""
    pins = locked()
    wrong = [
        str(requirement)
        for requirement in asked()
        if (name := canonicalize_name(requirement.name)) not in pins
        or not requirement.specifier.contains(pins[name][0])
    ]

    assert [] == wrong


def test_every_package_carries_hashes() -> None:
    """Installing with hashes refuses a lock with one entry that has none."""
    assert [] == [name for name, (_, entry) in locked().items() if "--hash=sha256:" not in entry]


def test_no_line_names_a_registry() -> None:
    """Where packages come from is the machine's business; what they are is ours."""
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|@", LOCK)


def test_the_slow_typer_and_the_import_patcher_stay_out() -> None:
    """Typer 0.29 loads pydantic at every command; importlib-metadata 10 replaces builtins.__import__."""
    pins = locked()

    assert Version("0.29") > pins[canonicalize_name("typer")][0]
    assert Version("10") > pins[canonicalize_name("importlib-metadata")][0]
    assert not {"lazy-importer", "structlog"} & set(pins)


def test_pydantic_comes_with_the_sandbox_alone() -> None:
    """It is what moto's dependencies need: whoever installs breakglass to stop an agent gets none of it."""
    wanted_by = set(re.findall(r"^    #   (\S+)$", locked()["pydantic"][1], re.MULTILINE))

    assert wanted_by == {"openapi-schema-validator", "openapi-spec-validator", "pydantic-settings"}
