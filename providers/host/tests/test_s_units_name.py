"""Names of units: what is one, which nobody may stop, where its cgroup is, how systemctl says them."""

from __future__ import annotations

import pytest

from breakglass.errors import ProviderError
from breakglass.model.resource import Reach
from breakglass_host import CARD
from breakglass_host.systemd import systemctl, unit_name


@pytest.mark.parametrize(
    "name", ["bot.service", r"bot\x2done@a:b.service", "bot@.service", "a-b.slice", "_x.scope", "b.timer"]
)
def test_a_name_of_systemds_grammar_is_one(name: str) -> None:
    """Odd characters are allowed where systemd.unit(5) allows them."""
    assert unit_name.complaint(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "bot",
        "../bot.service",
        "a/b.service",
        "bot.service\nLoadState=masked",
        "bot .service",
        "bot.conf",
        "@a.service",
        "-r",
        "--root=x.service;",
        "b\u043et.service",
        "b" * 250 + ".service",
        "*.service",
        "$(reboot).service",
    ],
)
def test_a_hostile_name_is_refused_before_anything_runs(name: str) -> None:
    """It never reaches systemctl, and the inventory says what is wrong with it."""
    reach = Reach("host", {"host": "local", "unit": name or "bot.service", "units": [name or " "]}, "kit:1")

    assert unit_name.complaint(name) != ""
    assert any("unit" in one for one in CARD.check(reach))


@pytest.mark.parametrize(
    "name",
    [
        "init.scope",
        "-.slice",
        "system.slice",
        "user.slice",
        "systemd-logind.service",
        "dbus.socket",
        "ssh.service",
        "ssh@1-2.service",
        "sshd.service",
        "cron.service",
        "user@0.service",
    ],
)
def test_what_the_machine_needs_is_nobodys_agent(name: str) -> None:
    """A wrong inventory must not take the machine, or the way into it, down."""
    assert unit_name.vital(name) != ""


def test_the_cgroup_of_a_slice_follows_its_dashes() -> None:
    """As systemd.slice(5) says."""
    assert unit_name.slice_path("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice"
    assert unit_name.slice_path("-.slice") == ""
    assert unit_name.escaped("cpu.service") == "_cpu.service"


def test_instances_are_told_from_their_template() -> None:
    """The template itself is none, and neither is a namesake of another type."""
    assert unit_name.instance_of("bot@a.service", "bot@.service")
    assert not unit_name.instance_of("bot@.service", "bot@.service")
    assert not unit_name.instance_of("robot@a.service", "bot@.service")
    assert not unit_name.instance_of("bot@a.timer", "bot@.service")


def test_an_answer_that_says_a_thing_twice_is_not_read() -> None:
    """Somebody's text with a line end in it must not speak for systemd."""
    asked = frozenset({"Id", "LoadState"})

    assert systemctl.parse(b"Id=a.service\nLoadState=loaded\n", asked)[0]["LoadState"] == "loaded"
    for forged in (
        b"Id=a.service\nLoadState=loaded\nLoadState=masked\n",
        b"Id=a\nLoadState=x\nX=1\n",
        b"Id=a\n",
    ):
        with pytest.raises(ProviderError):
            systemctl.parse(forged, asked)


def test_lists_are_read_in_the_forms_of_old_and_new_systemctl() -> None:
    """Quoted since systemd 250, escaped before it; a name that is none makes the list unreadable."""
    assert systemctl.names(r'"bot\\x2done@a:b.service" c.timer') == (r"bot\x2done@a:b.service", "c.timer")
    assert systemctl.names(r"bot\x5cx2done@a:b.service") == (r"bot\x2done@a:b.service",)
    assert systemctl.words('"/etc/my conf.conf"') == ("/etc/my conf.conf",)
    with pytest.raises(ProviderError):
        systemctl.names('"a b.service"')
