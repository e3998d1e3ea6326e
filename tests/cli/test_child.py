"""Under sudo the program that signs is the person's, not the executor's."""

from __future__ import annotations

import os
import pwd

from breakglass.cli.child import person_behind
from tests.backends import need


def test_behind_sudo_the_child_gives_up_root_and_its_environment() -> None:
    """User, groups and home are the person's; what is root's stays behind."""
    need("host", os.geteuid() == 0, "only root can become somebody else")
    nobody = pwd.getpwnam("nobody")
    environ = {
        "SUDO_UID": str(nobody.pw_uid),
        "SUDO_USER": "nobody",
        "HOME": "/root",
        "PATH": "/usr/bin",
        "SSH_AUTH_SOCK": "/run/agent.sock",
        "AWS_SECRET_ACCESS_KEY": "of the executor",
        "BREAKGLASS_KIT": "/etc/breakglass/kit",
    }

    identity, found = person_behind(environ)

    assert (nobody.pw_uid, nobody.pw_gid) == (identity["user"], identity["group"])
    assert 0 not in identity["extra_groups"]
    assert {
        "PATH": "/usr/bin",
        "SSH_AUTH_SOCK": "/run/agent.sock",
        "BREAKGLASS_KIT": "/etc/breakglass/kit",
        "HOME": nobody.pw_dir,
        "USER": "nobody",
        "LOGNAME": "nobody",
    } == found


def test_without_sudo_the_child_is_whoever_started_the_stop() -> None:
    """A drill of an ordinary user has one account only."""
    assert ({}, {"HOME": "/home/a"}) == person_behind({"HOME": "/home/a"})
