"""The registry finds strangers' providers by their metadata and never lets one of them spoil another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass import registry
from breakglass.canon import JsonObject
from breakglass.clock import SystemClock
from breakglass.errors import Gone, Unsupported, UsageError
from breakglass.model.action import Verdict
from breakglass.model.resource import AgentRef, Reach, Resource, State
from breakglass.provider import Card, Connection, EvidenceItem, Outcome, Provider

ACME = Path(__file__).parent.parent / "fixtures" / "acme-provider"
CARD_SOURCE = """
from breakglass.provider import Card
CARD = Card(name={name!r}, summary="", capabilities=(), settings=(), specs=(), connect=None, {more})
"""


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the stranger's distribution with pip into a folder of its own, as its users would."""
    source = shutil.copytree(ACME, tmp_path_factory.mktemp("source") / "acme")
    target = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return target


def distribution(site: Path, package: str, *, entry_points: str, module: str = "", source: str = "") -> None:
    """Lay out a distribution as an installer leaves it."""
    info = site / f"{package.replace('-', '_')}-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    if module:
        (site / f"{module}.py").write_text(source)


def provides(name: str, target: str) -> str:
    """Return the entry points of a distribution that provides one provider."""
    return f"[breakglass.providers]\n{name} = {target}\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that is on the search path of this process for one test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


def in_a_process(site: Path, code: str) -> object:
    """Run `code` in a fresh interpreter that finds what is installed in `site`, and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(run.stdout)


def test_lists_an_installed_stranger_beside_our_own_providers(acme: Path) -> None:
    """A package that pip installed is listed with its distribution and version."""
    code = """
import json
from breakglass import registry
from breakglass.canon import JsonObject
print(json.dumps([[found.name, found.pin] for found in registry.names()]))
"""
    listed = in_a_process(acme, code)

    assert isinstance(listed, list)
    assert ["acme", "acme-breakglass 1.4.0"] in listed
    assert {"host", "oauth", "acme"} <= {name for name, _ in listed}


def test_listing_runs_no_code_of_any_provider(acme: Path) -> None:
    """The first step of laziness reads metadata: no provider's module is imported."""
    code = """
import json, sys
from breakglass import registry
from breakglass.canon import JsonObject
registry.names()
print(json.dumps([name for name in sys.modules if name.startswith(("acme", "breakglass_"))]))
"""
    assert [] == in_a_process(acme, code)


def test_loading_one_card_imports_that_card_alone(acme: Path) -> None:
    """The second step imports one provider's card and neither its connection nor another provider."""
    code = """
import json, sys
from breakglass import registry
from breakglass.canon import JsonObject
registry.card("acme")
print(json.dumps(sorted(name for name in sys.modules if name.startswith(("acme", "breakglass_")))))
"""
    assert ["acme_breakglass", "acme_breakglass.specs"] == in_a_process(acme, code)


def test_a_provider_that_raises_on_import_is_one_error_and_the_others_go_on(site: Path) -> None:
    """The error names the package, carries the cause in one line, and leaves the rest usable."""
    distribution(
        site,
        "acme-broken",
        entry_points=provides("broken", "acme_broken:CARD"),
        module="acme_broken",
        source="raise RuntimeError('first line\\nsecond line')",
    )

    with pytest.raises(Unsupported) as caught:
        registry.card("broken")

    assert "provider broken (acme-broken 2.0): its import failed: RuntimeError: first line" == str(
        caught.value
    )
    assert "host" in {found.name for found in registry.names() if not found.problem}
    assert "broken" in {found.name for found in registry.names()}


def test_a_provider_that_exits_on_import_does_not_take_us_with_it(site: Path) -> None:
    """SystemExit from a stranger's module is an error like any other."""
    distribution(
        site,
        "acme-exits",
        entry_points=provides("exits", "acme_exits:CARD"),
        module="acme_exits",
        source="raise SystemExit(0)",
    )

    with pytest.raises(Unsupported, match="its import failed: SystemExit: 0"):
        registry.card("exits")


def test_two_distributions_that_claim_one_name_are_refused_by_naming_both(site: Path) -> None:
    """Nobody chooses between two packages: both are named, and no code of either runs."""
    for package in ("acme-one", "acme-two"):
        distribution(
            site,
            package,
            entry_points=provides("twice", f"{package.replace('-', '_')}:CARD"),
            module=package.replace("-", "_"),
            source="raise AssertionError('this code must not run')",
        )

    with pytest.raises(Unsupported) as caught:
        registry.card("twice")

    assert "provider twice: claimed by acme-one 2.0 and by acme-two 2.0; refusing to choose" == str(
        caught.value
    )
    assert "acme_one" not in sys.modules
    assert ["acme-one", "acme-two"] == [
        found.distribution for found in registry.names() if found.name == "twice"
    ]
    assert "host" == registry.listed("host").name


def test_a_stranger_cannot_take_the_name_of_our_own_provider(site: Path) -> None:
    """A second package that claims `host` makes the name unusable, rather than winning it."""
    distribution(site, "evil-host", entry_points=provides("host", "evil:CARD"))

    with pytest.raises(Unsupported, match=r"claimed by breakglass .* and by evil-host 2\.0"):
        registry.card("host")


def test_a_second_copy_of_one_distribution_is_shadowed_and_not_a_rival(site: Path, tmp_path: Path) -> None:
    """The first on the search path wins, as it does for imports."""
    for folder in (site, tmp_path / "later"):
        distribution(folder, "acme-copy", entry_points=provides("copy", "acme_copy:CARD"))
    sys.path.append(str(tmp_path / "later"))
    try:
        assert "" == registry.listed("copy").problem
    finally:
        sys.path.remove(str(tmp_path / "later"))


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("api_version=2", "made for provider API 2, this breakglass speaks 1"),
        ("api_version=1, summary_of=1", "its import failed: TypeError"),
    ],
)
def test_a_card_for_another_api_is_refused(site: Path, more: str, complaint: str) -> None:
    """A package that was written for another version of the port is refused before it can be used."""
    source = CARD_SOURCE.format(name="future", more=more)
    distribution(
        site,
        "acme-future",
        entry_points=provides("future", "acme_future:CARD"),
        module="acme_future",
        source=source,
    )

    with pytest.raises(Unsupported, match=complaint):
        registry.card("future")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (CARD_SOURCE.format(name="other", more=""), "its card is named 'other'"),
        ("CARD = {'name': 'odd'}", "is not a breakglass.provider.Card"),
        ("", "its import failed: AttributeError"),
    ],
)
def test_a_card_that_is_not_what_the_entry_point_promised_is_refused(
    site: Path, source: str, complaint: str
) -> None:
    """The entry point names a Card of its own name, or it is refused."""
    distribution(
        site, "acme-odd", entry_points=provides("odd", "acme_odd:CARD"), module="acme_odd", source=source
    )

    with pytest.raises(Unsupported, match=complaint):
        registry.card("odd")


def test_unreadable_entry_points_hide_no_other_provider(site: Path) -> None:
    """One package with a broken metadata file is listed with its problem; the others stay usable."""
    distribution(site, "acme-garbled", entry_points="[breakglass.providers]\nno equals sign here\n")

    garbled = next(found for found in registry.names() if found.distribution == "acme-garbled")

    assert garbled.problem.startswith("entry_points.txt cannot be read")
    assert "oauth" == registry.listed("oauth").name


def test_metadata_that_is_not_text_hides_no_other_provider(site: Path) -> None:
    """A package whose metadata cannot be decoded claims nothing and breaks nothing."""
    distribution(site, "acme-binary", entry_points="")
    (site / "acme_binary-2.0.dist-info" / "entry_points.txt").write_bytes(
        b"[breakglass.providers]\n\xff\xfe=x"
    )

    assert "host" == registry.listed("host").name


def test_a_misspelt_name_gets_a_suggestion() -> None:
    """An unknown provider is a usage error that says which name was probably meant."""
    with pytest.raises(UsageError, match="no provider is named 'hots'; did you mean 'host'"):
        registry.card("hots")


def test_a_missing_sdk_is_named_with_the_command_that_installs_it(site: Path) -> None:
    """What a card requires and nobody installed is named, and the remedy is one command."""
    source = CARD_SOURCE.format(
        name="sdk", more="requires=('json', 'acme_absent', 'acme_absent.deep'), extra='cloud'"
    )
    distribution(
        site, "acme-sdk", entry_points=provides("sdk", "acme_sdk:CARD"), module="acme_sdk", source=source
    )
    card = registry.card("sdk")

    with pytest.raises(Unsupported) as caught:
        registry.require(card)

    assert ("acme_absent", "acme_absent.deep") == registry.missing(card)
    assert "provider sdk needs acme_absent, acme_absent.deep" == str(caught.value)
    assert "pip install 'acme-sdk[cloud]'" == caught.value.remedy


def test_our_own_remedy_names_our_own_extra() -> None:
    """For a provider that ships with breakglass the remedy is an extra of breakglass."""
    ours = Card("host", "", (), (), (), connect=_never, requires=("acme_absent",), extra="extra")

    with pytest.raises(Unsupported) as caught:
        registry.require(ours)

    assert "pip install 'breakglass[extra]'" == caught.value.remedy


class _NoEvidence:
    """The example collects no evidence."""

    def put(self, name: str, source: str, chunks: object) -> EvidenceItem:
        raise AssertionError((name, source, chunks))


class _NoSecrets:
    """The example keeps no secrets and needs none."""

    def put(self, label: str, data: bytes) -> JsonObject:
        raise AssertionError((label, data))

    def get(self, reference: object) -> bytes:
        raise AssertionError(reference)

    def secret(self, name: str) -> bytes:
        raise AssertionError(name)


def _never(connection: Connection) -> Provider:
    raise AssertionError(connection)


def test_the_walked_example_closes_a_gate_and_opens_it_again(
    acme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider of CONTRIBUTING works through the port: discover, observe, apply, judge, revert."""
    monkeypatch.syspath_prepend(str(acme))
    gate = tmp_path / "bot.gate"
    gate.write_text("open")
    connection = Connection(
        reach=Reach("acme", {"gate": str(gate)}, "kit"),
        agent=AgentRef("bot", "owner", None),
        incident="inc-1",
        drill=True,
        clock=SystemClock(),
        evidence=_NoEvidence(),
        sealed=_NoSecrets(),
        credentials=_NoSecrets(),
    )

    card = registry.card("acme")
    registry.require(card)
    provider = card.connect(connection)
    target = provider.discover().proposals[0].target
    action = provider.actions["acme.gate.close"]
    before = action.observe(target)
    action.apply(target, before, "token")
    after = action.observe(target)

    assert Verdict.NOT_CONTAINED == action.judge(target, before).verdict
    assert Verdict.CONTAINED == action.judge(target, after).verdict
    assert Verdict.UNKNOWN == action.judge(target, State({}, complete=False)).verdict
    assert {target.id: Outcome.RESTORED} == action.revert(target, before, after).objects
    assert "open" == gate.read_text()
    assert {target.id: Outcome.ALREADY} == action.revert(target, before, action.observe(target)).objects
    gate.write_text("ajar")
    assert {target.id: Outcome.DRIFTED} == action.revert(target, before, action.observe(target)).objects
    with pytest.raises(Gone):
        action.observe(Resource("acme.gate", str(tmp_path / "none"), "none", {}))
