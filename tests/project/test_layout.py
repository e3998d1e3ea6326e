"""The shape of the code is held by checks that are shown to fail on a planted violation."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted([*(ROOT / "breakglass").rglob("*.py"), *(ROOT / "providers").glob("*/src/**/*.py")])
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}

CONTRACTS = (
    "Stages pass values downwards and never import each other",
    "The core imports no provider and no SDK",
    "A provider imports the port, the model and the parser",
    "A provider never imports another",
)
PLANTED = [
    ("breakglass/plan/planted.py", "import breakglass.execute.planted", CONTRACTS[0]),
    ("breakglass/model/planted.py", "import breakglass.provider", CONTRACTS[0]),
    ("breakglass/journal/planted.py", "import breakglass.usecases.planted", CONTRACTS[0]),
    ("breakglass/planted.py", "", CONTRACTS[0]),
    ("breakglass/execute/planted.py", "import breakglass_host", CONTRACTS[1]),
    ("breakglass/execute/planted.py", "import boto3", CONTRACTS[1]),
    ("providers/host/src/breakglass_host/planted.py", "import breakglass.registry", CONTRACTS[2]),
    ("providers/oauth/src/breakglass_oauth/planted.py", "import breakglass_host", CONTRACTS[3]),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy what import-linter reads, with an empty module to import in two stages."""
    for path in (*PRODUCT, ROOT / "pyproject.toml"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for package in ("plan", "execute", "usecases", "journal"):
        folder = tmp_path / "breakglass" / package
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        (folder / "planted.py").touch()
    return tmp_path


def lint_imports(tree: Path) -> tuple[int, str]:
    """Run import-linter on a copy, and on nothing but the copy."""
    path = [str(tree), *(str(source) for source in sorted(tree.glob("providers/*/src")))]
    code = f"import sys; sys.path[:0] = {path!r}; from importlinter.cli import lint_imports_command; "
    code += "lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    return run.returncode, " ".join(run.stdout.split())


@pytest.mark.parametrize(("module", "line", "contract"), PLANTED)
def test_a_planted_import_breaks_its_contract(tree: Path, module: str, line: str, contract: str) -> None:
    """Each boundary is guarded: one forbidden import is BROKEN, by the contract that is about it."""
    (tree / module).write_text(f"{line}\n")

    code, said = lint_imports(tree)

    assert 1 == code
    assert re.search(re.escape(contract) + r"[^.]*? BROKEN", said)


def test_the_code_as_it_is_keeps_every_contract(tree: Path) -> None:
    """Without a planted import the same copy passes, so that the tests above mean something."""
    code, said = lint_imports(tree)

    assert 0 == code, said
    assert f"{len(CONTRACTS)} kept, 0 broken" in said


def test_a_planted_import_of_an_sdk_at_module_level_is_refused_by_ruff(tmp_path: Path) -> None:
    """TID253 knows every module that start-up must not pay for."""
    planted = "import boto3\nimport google.cloud\nimport kubernetes\nimport yaml\nimport cryptography\n"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--select", "TID253", "--no-cache"),
            *("--output-format", "concise", "--config", str(ROOT / "pyproject.toml")),
            *("--stdin-filename", str(ROOT / "breakglass" / "planted.py"), "-"),
        ],
        input=planted + "import rich\nimport keyring\nimport pydantic\nimport botocore\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert 9 == run.stdout.count("TID253")


def test_no_module_is_longer_than_a_person_can_hold_in_mind() -> None:
    """300 lines is the hard stop."""
    long = {
        str(path.relative_to(ROOT)): n for path in PRODUCT if (n := len(path.read_text().splitlines())) > 300
    }

    assert {} == long


def test_no_module_has_a_name_that_says_nothing() -> None:
    """Utils, helpers, common, base and manager are not names."""
    assert [] == [str(path.relative_to(ROOT)) for path in PRODUCT if path.stem in FORBIDDEN_NAMES]


def test_only_the_quorum_makes_an_authorised_plan() -> None:
    """`execute` accepts nothing else, so there is one place that can let anything happen."""
    makers = {
        str(path.relative_to(ROOT))
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", ""))
        == "AuthorisedPlan"
    }

    assert {"breakglass/authorise/quorum.py"} == makers


def test_only_the_command_line_prints() -> None:
    """The core and the providers return values; what is said, and where, is decided in cli/."""
    printers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT
        if "cli" not in path.relative_to(ROOT).parts and path.name not in {"sandbox.py", "__main__.py"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"print", "input"}
    ]

    assert [] == printers


def test_no_mark_of_unfinished_work_is_left() -> None:
    """What is not done is not there; a line that no test can reach says why."""
    marks = re.compile(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b|pragma: no cover(?! - \S)")

    assert [] == [
        f"{path.relative_to(ROOT)}:{n}"
        for path in PRODUCT
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]


@pytest.mark.parametrize(
    "name",
    ["LICENSE", "README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/SUPPORT.md", "Makefile"],
)
def test_what_a_newcomer_looks_for_is_there(name: str) -> None:
    """The files that everybody opens first exist and say something."""
    assert len((ROOT / name).read_text(encoding="utf-8")) > 400


def test_every_decision_says_what_would_violate_it() -> None:
    """An ADR ends with the sentence that a reviewer can hold against a change."""
    decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))

    assert len(decisions) >= 8
    assert [] == [path.name for path in decisions if "A change violates this when" not in path.read_text()]
