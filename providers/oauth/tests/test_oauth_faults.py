"""An issuer that is slow, broken or somebody else: each has its own error, and no secret goes astray."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import Denied, ProviderError, Throttled, Transient, UsageError
from breakglass.provider import Provider
from breakglass_oauth.issuer import Issuer, NotOffered, Revoker
from breakglass_oauth.sandbox import REVOKER, Sandbox, start
from breakglass_oauth.tokens import ACCESS, Held
from breakglass_oauth.wire import Wire
from providers.oauth.tests.rig_oauth import REVOKE, connected, plan_stop

TOKEN = Held(ACCESS, "a-token")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run one issuer for all of these tests; each sets its own faults."""
    running = start(tmp_path_factory.mktemp("issuer"))
    yield running
    running.close()


@pytest.fixture
def client(shared: Sandbox) -> Iterator[Issuer]:
    """Speak to it with half a second of patience."""
    shared.set_faults()
    wire = Wire(timeout_s=0.5)
    secret = shared.revoker_secret.encode()
    yield Issuer(wire, shared.issuer, Revoker(REVOKER, lambda: secret), clock=SystemClock(), named=())
    wire.close()
    shared.set_faults()


@pytest.mark.parametrize("kind", ["hang", "drip", "huge", "short", "reset", "garbage", "twice", "error"])
def test_an_answer_that_is_none_may_be_asked_for_again(shared: Sandbox, client: Issuer, kind: str) -> None:
    """Hanging, dripping, endless, cut short, dropped, ambiguous: transient, within the time limit."""
    shared.set_faults({"endpoint": "introspect", "kind": kind, "seconds": 10})
    began = time.monotonic()

    with pytest.raises(Transient):
        client.introspect(f"{shared.issuer}/introspect", TOKEN)
    assert time.monotonic() - began < 9


def test_the_issuers_own_wish_for_patience_is_kept(shared: Sandbox, client: Issuer) -> None:
    """429 with Retry-After becomes the seconds that the engine waits."""
    shared.set_faults({"endpoint": "revoke", "kind": "throttle", "seconds": 7})

    with pytest.raises(Throttled) as caught:
        client.revoke(f"{shared.issuer}/revoke", TOKEN)
    assert caught.value.retry_after_s == 7


def test_a_refused_executor_is_denied(shared: Sandbox, client: Issuer) -> None:
    """403 does not get better by asking again."""
    shared.set_faults({"endpoint": "revoke", "kind": "denied"})

    with pytest.raises(Denied, match="access_denied"):
        client.revoke(f"{shared.issuer}/revoke", TOKEN)


def test_an_endpoint_that_is_not_there_is_its_own_error(shared: Sandbox, client: Issuer) -> None:
    """404 is neither an answer about the token nor something that passes."""
    shared.set_faults({"endpoint": "introspect", "kind": "missing"})

    with pytest.raises(NotOffered):
        client.introspect(f"{shared.issuer}/introspect", TOKEN)


def test_a_redirect_is_never_followed(shared: Sandbox, client: Issuer) -> None:
    """A secret goes where the inventory says, not where an answer says."""
    shared.set_faults({"endpoint": "revoke", "kind": "redirect"})

    with pytest.raises(ProviderError, match="307"):
        client.revoke(f"{shared.issuer}/revoke", TOKEN)
    assert b"redirected" not in (shared.folder / "arrivals.jsonl").read_bytes()


def test_a_kept_connection_that_was_closed_is_opened_again(shared: Sandbox, client: Issuer) -> None:
    """A server may drop an idle connection; the call is made once more on a new one."""
    address = f"{shared.issuer}/introspect"
    client.introspect(address, TOKEN)
    shared.set_faults({"endpoint": "introspect", "kind": "reset", "times": 1})

    assert client.introspect(address, TOKEN).active is False


def test_nothing_is_sent_to_a_host_that_is_not_pinned(client: Issuer) -> None:
    """An address outside of the issuer and the inventory is refused before a connection is made."""
    for address in ("http://127.0.0.9:9/revoke", "https://evil.example/revoke", "http://127.0.0.1:x/revoke"):
        with pytest.raises(Denied, match="nothing was sent"):
            client.revoke(address, TOKEN)


def test_metadata_that_points_elsewhere_is_not_obeyed(shared: Sandbox, client: Issuer) -> None:
    """The endpoints of the metadata must lie at the issuer, else they must be named."""
    shared.set_faults({"endpoint": "metadata", "kind": "foreign"})
    found = client.addresses("", "")

    assert (None, None) == (found.revocation, found.introspection)
    assert len(found.complaints) == 2


def test_metadata_of_another_issuer_is_refused(shared: Sandbox) -> None:
    """RFC 8414 3.3: the issuer in the metadata must be the one that was asked for."""
    wire = Wire(timeout_s=1)
    other = f"{shared.issuer}/tenant"
    revoker = Revoker(REVOKER, lambda: b"")
    with pytest.raises(ProviderError, match="another issuer"):
        Issuer(wire, other, revoker, clock=SystemClock(), named=()).addresses("", "")
    wire.close()


def test_without_metadata_the_customary_addresses_are_used(shared: Sandbox, client: Issuer) -> None:
    """An issuer without RFC 8414 is met at /revoke and /introspect."""
    shared.set_faults({"endpoint": "metadata", "kind": "missing"})

    assert f"{shared.issuer}/revoke" == client.addresses("", "").revocation


def test_named_endpoints_need_no_metadata(shared: Sandbox, client: Issuer) -> None:
    """What the inventory names is used as it stands."""
    shared.set_faults({"endpoint": "metadata", "kind": "hang"})
    found = client.addresses("https://a.example/r", "https://a.example/i")

    assert ("https://a.example/r", "https://a.example/i") == (found.revocation, found.introspection)


def provider_for(shared: Sandbox, folder: Path, token: str, *, secret: str = "") -> tuple[Provider, Path]:
    """Connect a provider for a file that holds this token."""
    path = folder / "token"
    path.write_text(token)
    return connected(shared, shared.settings(path), folder / "inc", secret=secret), path


def test_an_issuer_that_is_down_when_planning_is_not_planned(shared: Sandbox, tmp_path: Path) -> None:
    """Discovery raises, so that the core writes "not planned" and the rest of the stop runs."""
    settings = {**shared.settings(tmp_path / "token"), "issuer": "http://127.0.0.1:9"}
    provider = connected(shared, settings, tmp_path / "inc")

    with pytest.raises(Transient, match="does not answer"):
        provider.discover()


def test_preflight_says_whether_the_executor_may(shared: Sandbox, tmp_path: Path) -> None:
    """It revokes a token that nobody has, which changes nothing, and reads the client's state."""
    shared.set_faults()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good, path = provider_for(shared, tmp_path / "a", shared.mint()["access_token"])
    bad, _ = provider_for(shared, tmp_path / "b", "a-token", secret="wrong")  # noqa: S106 - wrong on purpose
    steps = plan_stop(good, shared.settings(path)).plan.steps

    assert [True] == [finding.ok for finding in good.preflight(steps)]
    assert [False] == [finding.ok for finding in bad.preflight(steps)]
    assert shared.effect("tickets", path.read_text()) == 200


def test_an_executor_whose_credential_ends_in_the_middle_is_told(shared: Sandbox, tmp_path: Path) -> None:
    """A wrong secret is Denied, in words, and without the secret in them."""
    provider, path = provider_for(shared, tmp_path, shared.mint()["access_token"])
    stop = plan_stop(provider, shared.settings(path))
    (tmp_path / "late").mkdir()
    late = connected(shared, shared.settings(path), tmp_path / "late", secret="expired-secret")  # noqa: S106 - wrong on purpose
    target = stop.step(REVOKE).target

    with pytest.raises(Denied, match=f"refuses {REVOKER}: invalid_client") as caught:
        late.actions[REVOKE].observe(target)
    assert "expired-secret" not in str(caught.value)


def test_an_address_without_tls_is_for_drills_only(shared: Sandbox, tmp_path: Path) -> None:
    """A real plan never sends a secret in the clear, not even to loopback; a drill names the endpoint."""
    settings = shared.settings(tmp_path / "token")
    with pytest.raises(UsageError, match="for a drill only"):
        connected(shared, settings, tmp_path / "real", drill=False)
    (tmp_path / "token").write_text("a-token")
    provider = connected(shared, settings, tmp_path / "drill")

    assert (shared.issuer,) == provider.discover().endpoints


def trap(folder: Path, kind: str) -> Path:
    """Put something else than a token where the inventory names one."""
    path, secret = folder / "token", folder / "somebody-elses-secret"
    secret.write_text("s3cret-of-root")
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "folder-link":
        (folder / "real").mkdir()
        (folder / "real" / "token").write_text("s3cret-of-root")
        path = folder / "linked" / "token"
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {
                "large": b"x" * 70_000,
                "lines": b"root:x:0:0\nbin:x:1:1\n",
                "binary": b"\xff\xfe\x00",
                "empty": b"",
                "json": b'{"password": "s3cret-of-root"}',
                "deep": b'{"a":' * 20_000,
            }[kind]
        )
    return path


@pytest.mark.parametrize(
    "kind", ["link", "pipe", "folder", "large", "lines", "binary", "empty", "json", "deep"]
)
def test_a_trap_in_the_place_of_the_token_is_not_read(shared: Sandbox, tmp_path: Path, kind: str) -> None:
    """The file is the agent's: links, pipes and other people's secrets are never sent to the issuer."""
    path = trap(tmp_path, kind)
    discovery = connected(shared, shared.settings(path), tmp_path / "inc").discover()

    assert any(str(path) in text for text in discovery.incomplete)
    assert [] == discovery.proposals[0].target.params["tokens"]
    assert "s3cret" not in repr(discovery)


def test_a_link_that_appears_in_the_path_after_planning_is_not_followed(
    shared: Sandbox, tmp_path: Path
) -> None:
    """The path that was signed is walked without following links; the sealed token stands for the file."""
    shared.set_faults()
    folder = tmp_path / "bot"
    folder.mkdir()
    provider, path = provider_for(shared, folder, shared.mint()["access_token"])
    stop = plan_stop(provider, shared.settings(path))
    folder.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "token").write_text("s3cret-of-root")
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "inc").symlink_to(tmp_path / "moved" / "inc")
    state = provider.actions[REVOKE].observe(stop.step(REVOKE).target)

    assert len(state.objects) == 1
    assert "stand for it" in state.note


GOOD: Mapping[str, object] = {
    "issuer": "https://login.example.com",
    "client_id": "support-bot",
    "as": "breakglass-revoker",
    "token": {"file": "/var/lib/support-bot/token"},
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, ""),
        ({"token": {"keyring": "support-bot/api"}}, ""),
        ({"issuer": "http://127.0.0.1:8080"}, ""),
        ({"issuer": "http://login.example.com"}, "issuer is not https"),
        ({"issuer": "http://127.evil.example"}, "issuer is not https"),
        ({"issuer": "ftp://login.example.com"}, "issuer is not https"),
        ({"issuer": "https://login.example.com/"}, "issuer must have no query"),
        ({"issuer": "https://login.example.com?x=1"}, "issuer must have no query"),
        ({"issuer": "https://a@login.example.com"}, "issuer has a user name in it"),
        ({"issuer": "https://"}, "issuer is not an address"),
        ({"issuer": "https://login.example.com:99999"}, "issuer is not an address"),
        ({"issuer": "https://login.example.com\n"}, "issuer is not an address"),
        ({"disable_client": "https://login.example.com/x#y"}, "disable_client must have no fragment"),
        ({"as": "support-bot"}, "as is the agent's own client"),
        ({"client_id": "sp ace"}, "client_id is not a client's id"),
        ({"token": {"file": "/a", "keyring": "a/b"}}, "token names exactly one of"),
        ({"token": {"path": "/a"}}, "token names exactly one of"),
        ({"token": {"file": "relative/path"}}, "token file is not an absolute path"),
        ({"token": {"file": "/a/../etc/shadow"}}, "token file is not an absolute path"),
        ({"token": {"file": "/a/b", "host": "bot-7.example.com"}}, ""),
        ({"token": {"file": "/a/b", "host": "ssh://bot-7"}}, "token host is not the bare name"),
        ({"token": {"keyring": "a/b", "host": "bot-7"}}, "token host is not the bare name"),
        ({"token": {"keyring": "no-name"}}, "token keyring is not SERVICE/NAME"),
        ({"token": None}, "neither token nor disable_client"),
        ({"settle_s": "soon"}, "settle_s is not a whole number"),
        ({"settle_s": "9999"}, "settle_s is not a whole number"),
    ],
)
def test_an_inventory_entry_is_checked_before_anything_is_sent(
    change: Mapping[str, object], complaint: str
) -> None:
    """Each mistake has its own line; a good entry has none."""
    from breakglass.model.resource import Reach
    from breakglass_oauth import CARD

    settings = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    found = CARD.check(Reach("oauth", settings, "a.yaml:1:1"))  # type: ignore[arg-type]  # wrong types on purpose

    assert (1 if complaint else 0) == len(found)
    assert all(text.startswith(complaint) for text in found)


def test_the_card_loads_no_network(tmp_path: Path) -> None:
    """Listing providers must not pay for TLS."""
    code = "import sys, breakglass_oauth; print({'ssl', 'http.client', 'keyring'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout == "set()\n"
