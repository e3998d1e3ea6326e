"""Units of every kind and place are masked and stopped, and everything is as it was after a restore."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass_host.machine import Machine
from providers.host.tests.test_s_units_relaunch import is_off
from providers.host.tests.units_s import Inside, inside, verdicts

SERVICE = "[Service]\nUser=bot\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n"
ODD = r"bot\x2done@a:b.service"


@pytest.fixture
def there(machine: Machine) -> Inside:
    """Give a machine with an account of the agent's own."""
    it = inside(machine)
    it.run("useradd --system --uid 1500 bot")
    return it


def stopped_and_restored(it: Inside, unit: str, names: tuple[str, ...], before: str) -> None:
    """Stop, look, restore, look again."""
    said = it.stop({"unit": unit})

    assert {verdicts(said)[key] for key in ("mask", "stop")} == {"contained"}, said
    for name in names:
        assert is_off(it, name), said
        assert it.show(name, "LoadState") == ["masked"]
    back = it.restore({"unit": unit})
    assert it.listing() == before, back
    for name in names:
        assert it.show(name, "LoadState", "ActiveState") == ["loaded", "active"], back


@pytest.mark.parametrize("folder", ["/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system"])
def test_a_unit_is_masked_wherever_its_file_lies(there: Inside, folder: str) -> None:
    """With drop-ins, one of which has a space in its name; nothing of them changes."""
    there.unit("bot.service", SERVICE, folder=folder)
    there.unit("10-more.conf", "[Service]\nEnvironment=TOKEN=secret\n", folder=f"{folder}/bot.service.d")
    there.unit("my own.conf", "[Service]\nNice=5\n", folder="/etc/systemd/system/bot.service.d")
    there.run("systemctl daemon-reload; systemctl start bot.service")
    stopped_and_restored(there, "bot.service", ("bot.service",), there.listing())


def test_an_odd_name_is_stopped_and_restored(there: Inside) -> None:
    """Escapes, an instance, a colon: whatever systemd.unit(5) allows."""
    there.unit(ODD, SERVICE)
    there.run("systemctl daemon-reload")
    there.run(f"systemctl start '{ODD}'")
    stopped_and_restored(there, ODD, (ODD,), there.listing())


def test_a_template_stands_for_all_of_its_instances(there: Inside) -> None:
    """Also for one with a file of its own, and for one that nobody started yet."""
    there.unit("bot@.service", SERVICE)
    there.unit("bot@own.service", SERVICE)
    there.run("systemctl daemon-reload; systemctl start bot@a.service bot@own.service")
    before = there.listing()
    said = there.stop({"unit": "bot@.service"})

    assert verdicts(said)["mask"] == verdicts(said)["stop"] == "contained", said
    assert "masked" in there.run("systemctl start bot@never.service 2>&1 || true")
    assert is_off(there, "bot@a.service")
    assert is_off(there, "bot@own.service")
    there.restore({"unit": "bot@.service"})
    assert there.listing() == before
    for name in ("bot@a.service", "bot@own.service"):
        assert there.show(name, "ActiveState") == ["active"]


def test_all_of_a_slice_is_stopped_and_nothing_new_starts_in_it(there: Inside) -> None:
    """Two services of different users are the slice's all the same."""
    there.unit("one.service", SERVICE + "Slice=agents-bot.slice\n")
    there.unit("two.service", SERVICE.replace("bot", "games") + "Slice=agents-bot.slice\n")
    there.run("systemctl daemon-reload; systemctl start one two")
    before = there.listing()
    said = there.stop({"unit": "agents-bot.slice"})

    assert verdicts(said)["kill"] == verdicts(said)["stop"] == "contained", said
    assert is_off(there, "one.service")
    assert there.run("pgrep -u games || true") == ""
    refused = there.run("systemd-run --slice=agents-bot.slice --unit=new sleep 9 2>&1 || true")
    assert "masked" in refused
    there.restore({"unit": "agents-bot.slice"})
    assert there.listing() == before
    assert there.show("two.service", "ActiveState") == ["active"]


def test_a_transient_service_keeps_its_mask_and_comes_back(there: Inside) -> None:
    """Its end takes the first link along, so that it is made again."""
    there.run("systemd-run -q --unit=bot.service -p User=bot -p Restart=always -p RestartSec=0 sleep 1000")
    said = there.stop({"unit": "bot.service"})

    assert verdicts(said)["stop"] == "contained", said
    assert "already loaded or has a fragment" in there.run(
        "systemd-run --unit=bot.service sleep 9 2>&1 || true"
    )
    assert is_off(there)
    there.restore({"unit": "bot.service"})
    assert there.show("bot.service", "LoadState", "ActiveState") == ["loaded", "active"]


def test_a_scope_ends_for_good_and_who_makes_scopes_is_said(there: Inside) -> None:
    """Nothing brings a scope back: whoever made it makes it again."""
    there.run(
        "(setsid systemd-run -q --scope --uid=1500 --unit=bot.scope sleep 1000 >/dev/null 2>&1 &) ; sleep 0.5"
    )
    said = there.stop({"unit": "bot.scope"})

    assert verdicts(said)["stop"] == "contained", said
    assert is_off(there, "bot.scope")
    assert any(line.startswith("who makes bot.scope") for line in said["not_touched"])
    there.restore({"unit": "bot.scope"})
    assert there.run("ls /etc/systemd/system.control 2>/dev/null || true") == ""
    assert there.show("bot.scope", "LoadState") == ["not-found"]


def test_a_mask_that_was_there_stays(there: Inside) -> None:
    """Of an operator who masked it before: the restore takes its own link alone."""
    there.unit("bot.service", SERVICE, folder="/usr/lib/systemd/system")
    there.run("systemctl daemon-reload; systemctl start bot.service; systemctl mask -q bot.service")
    before = there.listing()
    there.stop({"unit": "bot.service"})
    there.restore({"unit": "bot.service"})

    assert there.listing() == before
    assert there.show("bot.service", "LoadState") == ["masked"]
    assert is_off(there)


def test_where_etc_is_read_only_the_mask_ends_with_the_next_boot_and_says_so(there: Inside) -> None:
    """It is masked below /run then."""
    there.unit("bot.service", SERVICE)
    there.run("systemctl daemon-reload; systemctl start bot.service")
    there.run("mount --bind /etc /etc && mount -o remount,ro,bind /etc")
    said = there.stop({"unit": "bot.service"}, only="mask stop")

    assert verdicts(said) == {"mask": "contained", "stop": "contained"}, said
    assert any(line.startswith("masks that last: ") for line in said["not_touched"]), said
    assert "until the next boot" in said["steps"]["stop:units"][2] or is_off(there)
    there.restore({"unit": "bot.service"})
    assert there.show("bot.service", "LoadState", "ActiveState") == ["loaded", "active"]


def test_what_the_machine_needs_is_refused_and_said(there: Inside) -> None:
    """Also by another name, and as a part of a slice."""
    there.unit("evil.slice", "[Slice]\n")
    there.run(
        "ln -s /usr/lib/systemd/system/ssh.service /etc/systemd/system/bot.service; systemctl daemon-reload"
    )
    for unit in ("ssh.service", "bot.service", "system.slice"):
        there.run("rm -rf /opt/bg/incident")
        said = there.stop({"unit": unit})

        assert not {"mask", "stop", "freeze", "kill"} & verdicts(said).keys(), said
        assert said["doors"], said
    assert there.run("systemctl is-active ssh.service || systemctl is-active ssh.socket").strip() == "active"


def test_the_manager_of_the_agents_user_is_a_unit_like_others(there: Inside) -> None:
    """With all that runs in it; who owns what in there is told by the account."""
    there.run("loginctl enable-linger bot")
    there.run("timeout 10 sh -c 'until systemctl is-active -q user@1500.service; do sleep 0.1; done'")
    said = there.stop({"unit": "user@1500.service"})

    assert verdicts(said)["kill"] == verdicts(said)["stop"] == verdicts(said)["mask"] == "contained", said
    assert is_off(there, "user@1500.service")
    assert "masked" in there.run("systemctl start user@1500.service 2>&1 || true")
    there.restore({"unit": "user@1500.service"})
    assert there.show("user@1500.service", "LoadState", "ActiveState") == ["loaded", "active"]


def test_a_file_where_the_link_must_be_is_set_aside_and_put_back(there: Inside) -> None:
    """Whoever put the unit into the highest folder of all does not keep it from being masked."""
    there.unit("bot.service", SERVICE, folder="/etc/systemd/system.control")
    there.run("systemctl daemon-reload; systemctl start bot.service")
    stopped_and_restored(there, "bot.service", ("bot.service",), there.listing())


def test_more_units_of_the_same_account_are_no_neighbours(there: Inside) -> None:
    """The account is the agent's alone, also where it runs in two units; both end."""
    there.unit("bot.service", SERVICE)
    there.unit("side.service", SERVICE)
    there.run("systemctl daemon-reload; systemctl start bot side")
    settings: dict[str, Json] = {"unit": "bot.service", "user": "bot", "units": ["side.service"]}
    said = there.stop(settings, only="freeze again-freeze kill egress mask stop")

    assert set(verdicts(said).values()) == {"contained"}, said
    assert not said["doors"], said
    assert is_off(there)
    assert is_off(there, "side.service")
