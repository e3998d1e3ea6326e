"""What is read on the way to another machine is hostile: addresses, keys, frames, values, errors."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass.errors import Denied, InDoubt, MalformedInput, ProviderError, Throttled, Unsettled
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Reversal, WaitFor
from breakglass_host.remote import codec, faults, frames, login, ssh
from breakglass_host.remote.address import Address, parse_address, parse_host_key
from breakglass_host.remote.frames import Frames
from breakglass_host.remote.login import Listening, Word
from breakglass_host.remote.ssh import Target

ED25519 = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode()
RSA = "ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa" + b"n" * 40).decode()
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?(\.[a-z0-9]{1,9}){0,2}", fullmatch=True)
USERS = st.from_regex(r"[a-z_][a-z0-9_-]{0,20}", fullmatch=True)
PORTS = st.none() | st.integers(1, 65_535)


@given(USERS, NAMES | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str), PORTS)
def test_an_address_is_read_as_it_is_written(user: str, host: str, port: int | None) -> None:
    """Name, IPv4 or IPv6, with or without a port."""
    address = Address(user, host, port)

    assert address == parse_address(f"ssh://{address}")


@given(st.text(max_size=40))
def test_no_address_can_be_an_option_or_hide_a_character(text: str) -> None:
    """What is accepted begins with a letter, digit or underscore and is printable ASCII."""
    for url in (text, f"ssh://{text}", f"ssh://root@{text}"):
        try:
            address = parse_address(url)
        except MalformedInput:
            continue
        assert not address.user.startswith("-")
        assert not address.host.startswith("-")
        assert str(address).isascii()
        assert str(address).isprintable()
        assert " " not in str(address)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://name",
        "ssh://@name",
        "ssh://-oProxyCommand=x@name",
        "ssh://root@-oProxyCommand=x",
        "ssh://root@name:",
        "ssh://root@name:0",
        "ssh://root@name:022",
        "ssh://root@name:65536",
        "ssh://root@a..b",
        "ssh://root@[::1",
        "ssh://root@[fe80::1%eth0]",
        "ssh://root@[name]",
        "ssh://root@name\n",
        "ssh://root:secret@name",
        "ssh://root@name/path",
        "ssh://root@a@b",
        "SSH://root@name",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(MalformedInput, match="ssh://user@name"):
        parse_address(url)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected a line"),
        ("ssh-ed25519", "expected a line"),
        ("ssh-dss AAAA", "is none of"),
        ("ssh-ed25519 not!base64", "not base64"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa", 1), "not one of that type"),
        (f"{ED25519}\n@cert-authority * {ED25519}", "expected a line"),
    ],
)
def test_what_is_no_host_key_is_refused(text: str, why: str) -> None:
    """A second line would be a second entry of known_hosts."""
    with pytest.raises(MalformedInput, match=why):
        parse_host_key(text)


def test_only_sound_signatures_of_the_pinned_key_are_asked_for() -> None:
    """No other type may be offered; of rsa, no SHA-1."""
    assert "ssh-ed25519" == parse_host_key(f"{ED25519} comment").algorithms
    assert "rsa-sha2-512,rsa-sha2-256" == parse_host_key(RSA).algorithms


@given(
    st.lists(st.dictionaries(st.text(max_size=9), st.integers() | st.text()), min_size=1, max_size=4),
    st.data(),
)
def test_frames_come_out_whole_however_they_are_cut(
    messages: list[dict[str, object]], data: st.DataObject
) -> None:
    """Any pieces of the stream give the same messages."""
    stream = b"".join(frames.pack(one) for one in messages)
    reading, found, at = Frames(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, max(1, len(stream) - at)))
        found += [frames.unpack(one) for one in reading.feed(stream[at : at + size])]
        at += size

    assert messages == found


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    """Nothing else is ever raised."""
    reading = Frames(largest=64)
    try:
        for one in reading.feed(data):
            assert isinstance(frames.unpack(one), dict)
    except MalformedInput:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"[1]",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000,
        b"\xff",
        b'{"a":' + b"[],".join([b"["] + [b""] * frames.MAX_VALUES) + b"]}",
    ],
)
def test_a_message_that_nobody_of_ours_writes_is_refused(data: bytes) -> None:
    """Also what would only cost memory."""
    with pytest.raises(MalformedInput):
        frames.unpack(data)


def test_a_length_that_is_too_large_is_refused_before_it_is_kept() -> None:
    """Four bytes can promise four gigabytes."""
    with pytest.raises(MalformedInput, match="4294967295 bytes"):
        Frames().feed(b"\xff\xff\xff\xff")


def test_values_of_the_port_travel_whole() -> None:
    """Fractions, enums in mappings, options, and file names that are no UTF-8."""
    target = Resource("file", "x", "\udcff", {"n": [1, None, {"a": True}]})
    for value in (
        State({"/x/\udcff": {"size": 3}}, complete=False, note="n"),
        Reversal({"a": Outcome.CANNOT}, "r"),
        Judgement(Verdict.UNKNOWN, "why", Grade.NONE),
        Proposal("k", "a", target, (WaitFor("o", 0.5),), deadline_s=1.25, best_grade=Grade.NONE),
    ):
        packed = frames.pack({"ok": codec.encode(value)})

        assert value == codec.decode(type(value), frames.unpack(packed[frames.HEADER :])["ok"], "x")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"objects": {}, "complete": True},
        {"objects": {}, "complete": True, "note": "", "more": 1},
        {"objects": [], "complete": True, "note": ""},
        {"objects": {}, "complete": 1, "note": ""},
        {"objects": {}, "complete": True, "note": None},
    ],
)
def test_a_state_of_another_shape_is_refused(data: object) -> None:
    """A field that is missing, unknown or of another type."""
    with pytest.raises(MalformedInput):
        codec.decode(State, data, "observe")


def test_a_host_may_raise_the_errors_of_a_provider_and_no_other() -> None:
    """It cannot claim that a record of the executor is damaged, or that a call is in doubt."""
    wire = json.loads(json.dumps(faults.to_wire(Denied("no", where="/x", remedy="do"))))
    found = faults.from_host(wire, "bot-7")

    assert (Denied, "bot-7 /x", "do") == (type(found), found.where, found.remedy)
    assert Unsettled is type(faults.from_host(wire | {"class": "Unsettled"}, "bot-7"))
    for name in ("RecordDamaged", "InDoubt", "Interrupted", "SystemExit", "UsageError", "__doc__"):
        assert ProviderError is type(faults.from_host(wire | {"class": name}, "bot-7"))
    throttled = faults.from_host(wire | {"class": "Throttled", "retry_after_s": 1e9}, "bot-7")
    assert isinstance(throttled, Throttled)
    assert throttled.retry_after_s <= 5
    assert "bug in the provider: KeyError" in str(faults.to_wire(KeyError("x"))["what"])
    assert InDoubt is type(faults.from_executor(wire | {"class": "InDoubt"}))


def test_the_command_means_the_same_to_any_login_shell() -> None:
    """Between its quotes stands nothing that sh, csh or fish would read differently."""
    for without_sudo in (True, False):
        quoted = login.command(without_sudo=without_sudo).split("'")

        assert 5 == len(quoted)
        assert not set("".join(quoted)) & set("!\\\n")


@given(st.binary(max_size=300), st.data())
def test_the_word_is_found_behind_any_noise(noise: bytes, data: st.DataObject) -> None:
    """Whatever a login says first, also in pieces."""
    stream = noise + b"\nabc123 old 3 9 /usr/bin/python3\nrest"
    cut = data.draw(st.integers(0, len(stream)))
    listening = Listening("abc123")
    found = listening.feed(stream[:cut]) or listening.feed(stream[cut:])

    assert found is not None
    assert Word("old", "3 9 /usr/bin/python3") == found[0]
    assert b"rest".startswith(found[1])


def test_a_configuration_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """It could name any command as its ProxyCommand, which we would run."""
    config = tmp_path / "config"
    config.write_text("")
    config.chmod(0o666)
    target = Target(Address("root", "x", None), parse_host_key(ED25519), str(config))

    with pytest.raises(Denied, match="only root or this account"), ssh.started(target, "true"):
        pass


def test_nothing_of_the_command_line_can_be_overridden(tmp_path: Path) -> None:
    """The client itself says what it would use, with a configuration that asks for everything."""
    config = tmp_path / "config"
    config.write_text(
        "Host *\nForwardAgent yes\nStrictHostKeyChecking no\nLocalForward 9999 x:1\nControlMaster auto\n"
        "ControlPath /tmp/c\nUserKnownHostsFile /tmp/k\nRequestTTY force\nRemoteCommand id\n"
        "PermitLocalCommand yes\nNoHostAuthenticationForLocalhost yes\nHostKeyAlias other\nBatchMode no\n"
    )
    target = Target(Address("bot", "::1", 2222), parse_host_key(ED25519), str(config))
    program, *rest = ssh.arguments("ssh", target, "/x/pinned", "true")
    said = subprocess.run([program, "-G", *rest], check=True, capture_output=True, text=True).stdout
    found = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)

    assert ("bot", "::1", "2222") == (found["user"], found["hostname"], found["port"])
    assert ("no", "true", "yes") == tuple(
        found[key] for key in ("forwardagent", "stricthostkeychecking", "batchmode")
    )
    assert ("breakglass-pinned", "/x/pinned") == (found["hostkeyalias"], found["userknownhostsfile"])
    assert "false" == found["requesttty"]
    assert "no" == found["permitlocalcommand"]
    assert "no" == found["nohostauthenticationforlocalhost"]
    assert {"controlpath", "remotecommand"}.isdisjoint(found) or "none" == found.get("remotecommand")
    assert os.sep not in found.get("controlpath", "none")
