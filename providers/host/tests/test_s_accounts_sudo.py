"""Sudo drop-ins that name the agent alone are set aside; what names others too is a door."""

from __future__ import annotations

import pytest

from breakglass_host.accounts import sudo_claims, sudo_rules
from breakglass_host.accounts.sudo_claims import Subject
from breakglass_host.machine import Machine
from providers.host.tests.accounts_s import call, listing, prepare

SUDO = "sudo_drop_ins"
DROP_INS = "/etc/sudoers.d"


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine with two accounts."""
    prepare(machine)
    return machine


def as_user(host: Machine, name: str) -> bool:
    """Try sudo as a process of the account."""
    script = f"setpriv --reuid {name} --regid {name} --init-groups sudo -n /usr/bin/true"
    return host.run(script, check=False).returncode == 0


def test_the_agent_s_own_drop_ins_go_and_come_back_byte_for_byte(host: Machine) -> None:
    """Odd names, modes and times included; sudo itself says that nothing is left, and its syntax is whole."""
    host.run(
        f"cd {DROP_INS} && printf 'bot ALL=(ALL) NOPASSWD: ALL' > '10 bot' && chmod 400 '10 bot'"
        " && printf '# two\\nUser_Alias ROBOTS = bot, #%s\\nROBOTS ALL = \\\\\\n  NOPASSWD: /bin/ls\\n'"
        " $(id -u bot) > zz-bot_ && chmod 440 zz-bot_"
        " && printf '%%bot ALL=(ALL) NOPASSWD: ALL\\n' > group && chmod 600 group"
        " && printf 'alice ALL=(ALL) NOPASSWD: ALL\\n' > alice && chmod 440 alice"
        " && touch -d '2021-01-01 01:01:01.5' '10 bot'"
    )
    before = listing(host, DROP_INS)
    assert (True, True) == (as_user(host, "bot"), as_user(host, "alice"))
    stopped = call(host, "stop", SUDO)

    assert ("contained", "contained", "platform_evaluator") == (
        stopped["verdict"],
        stopped["proof"][0],
        stopped["proof"][2],
    )
    assert [f"{DROP_INS}/{name}" for name in ("10 bot", "group", "zz-bot_")] == stopped["targets"][0]["paths"]
    assert (False, True) == (as_user(host, "bot"), as_user(host, "alice"))
    host.run("visudo -c -q")
    call(host, "restore", SUDO)
    assert before == listing(host, DROP_INS)
    assert as_user(host, "bot")


def test_a_file_that_names_others_too_is_a_door_that_the_lock_closes(host: Machine) -> None:
    """And so is a line in the main file, and a group's."""
    host.run(
        f"cd {DROP_INS}; printf 'alice, bot ALL=(ALL) NOPASSWD: /usr/bin/true\\n' > both; chmod 440 both;"
        " usermod -aG sudo bot"
    )
    before = listing(host, DROP_INS, "/etc/sudoers")
    seen = call(host, "propose", SUDO)

    assert [] == seen["keys"]
    assert [["lock:bot"], ["lock:bot"]] == [door[2] for door in seen["doors"]]
    assert "its rules name alice too" == seen["doors"][1][1]
    assert ["membership of bot in group sudo"] == [name for name, _ in seen["not_touched"]]
    call(host, "stop", "account_lock")
    assert (False, True) == (as_user(host, "bot"), as_user(host, "alice"))
    assert before == listing(host, DROP_INS, "/etc/sudoers")


def test_where_sudo_is_told_not_to_ask_pam_the_lock_closes_no_door(host: Machine) -> None:
    """Defaults !pam_acct_mgmt lets an expired account in."""
    host.run("printf 'Defaults !pam_acct_mgmt\\nbot ALL=(ALL) ALL\\n' >> /etc/sudoers")

    assert [[]] == [door[2] for door in call(host, "propose", SUDO)["doors"]]


def test_rules_from_a_directory_are_a_door_and_a_named_file_without_any_is_said(host: Machine) -> None:
    """The lock refuses what a directory allows; an inventory that names the wrong file is told so."""
    host.run("echo 'sudoers: files sss' >> /etc/nsswitch.conf; printf 'bot ALL=ALL\\n' > /etc/bot-rules")
    seen = call(host, "propose", SUDO, sudoers=["/etc/bot-rules", "/etc/missing"])

    assert [["sudo rules for bot in sss", ["lock:bot"]]] == [[door[0], door[2]] for door in seen["doors"]]
    assert [["/etc/bot-rules"]] == [one["paths"] for one in seen["targets"]]
    assert ["/etc/missing"] == [name for name, _ in seen["not_touched"]]


def test_rules_that_appear_beside_the_signed_ones_are_seen_by_sudo_itself(host: Machine) -> None:
    """Then the step is not contained."""
    host.run(f"printf 'bot ALL=(ALL) ALL\\n' > {DROP_INS}/bot; chmod 440 {DROP_INS}/bot")
    call(host, "stop", SUDO)
    host.run(f"printf 'bot ALL=(ALL) /bin/ls\\n' > {DROP_INS}/new; chmod 440 {DROP_INS}/new")

    assert "not_contained" == call(host, "look", SUDO)["proof"][0]


def test_a_host_without_sudo_says_so_once(host: Machine) -> None:
    """And proposes nothing."""
    host.run("mv /usr/bin/sudo /usr/bin/sudo.away")

    assert [["sudo rules", "sudo is not installed here"]] == call(host, "propose", SUDO)["not_touched"]


BOT = Subject("bot", 1001, {"bot": 1001, "staff": 50}, frozenset({"bot"}))


@pytest.mark.parametrize(
    ("text", "is_own", "why"),
    [
        ("bot ALL=(ALL) ALL", True, ""),
        ("#1001 ALL = NOPASSWD: ALL  # ours", True, ""),
        ("%bot ALL=ALL", True, ""),
        ("%#1001 ALL=ALL", True, ""),
        ('"bot" ALL=ALL', True, ""),
        ("bot , bot ALL=ALL", True, ""),
        ("Defaults:bot !authenticate\nbot ALL=ALL", True, ""),
        ("User_Alias X = bot : Y = alice\nX ALL=ALL", True, ""),
        ("User_Alias X = bot : Y = alice\nX, Y ALL=ALL", False, "its rules name alice too"),
        ("ALL ALL=ALL", False, "its rules name ALL too"),
        ("%staff ALL=ALL", False, "its rules name %staff too"),
        ("bot ALL=ALL\nalice ALL=ALL", False, "its rules name alice too"),
        ("Defaults env_reset\nbot ALL=ALL", False, "it holds Defaults for others too"),
        ("Cmnd_Alias LS = /bin/ls\nbot ALL=LS", False, "it holds a Cmnd_Alias too"),
        ("#include /etc/more\nbot ALL=ALL", False, "it holds an include too"),
    ],
)
def test_a_rule_is_read_as_sudo_reads_it(text: str, is_own: bool, why: str) -> None:  # noqa: FBT001 - a table
    """Names, uids, groups, quotes, aliases and comments."""
    file = sudo_rules.parse("/etc/sudoers.d/x", text, is_drop_in=True)
    claims = sudo_claims.of([file], BOT)

    assert (("/etc/sudoers.d/x",), ()) == (claims.own, claims.shared) if is_own else True
    assert is_own or (((), (("/etc/sudoers.d/x", why),)) == (claims.own, claims.shared))


@pytest.mark.parametrize(
    "text",
    [
        "alice ALL=ALL",
        "# bot ALL=ALL",
        "Defaults:bot !authenticate",
        "ALL, !bot ALL=ALL",
        "robot ALL=ALL",
        "",
    ],
)
def test_a_file_that_gives_the_account_nothing_is_none_of_ours(text: str) -> None:
    """Neither a comment nor a longer name."""
    file = sudo_rules.parse("/etc/sudoers.d/x", text, is_drop_in=True)
    claims = sudo_claims.of([file], BOT)

    assert ((), ()) == (claims.own, claims.shared)


def test_a_drop_in_whose_alias_another_file_uses_stays() -> None:
    """Taking it away would break the other file's rule."""
    one = sudo_rules.parse("/etc/sudoers.d/a", "User_Alias X = bot\nX ALL=ALL", is_drop_in=True)
    two = sudo_rules.parse("/etc/sudoers.d/b", "alice ALL=(X) ALL", is_drop_in=True)

    assert "another file uses its alias X" == sudo_claims.of([one, two], BOT).shared[0][1]
