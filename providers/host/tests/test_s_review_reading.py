"""What an agent can do with a file that another provider asks for, and the operator's ssh configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass_host import reading
from breakglass_host.remote import ssh
from breakglass_host.remote.address import parse_address, parse_host_key
from providers.host.tests.rig_b import AGENT_UID, public_folder
from tests.backends import need

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5IGjPl8Zm8W8PSP1mFfkCvMv3mWbWjvCEvaPDXv1pX"


def test_a_folder_that_the_agent_made_a_link_does_not_lead_to_another_secret() -> None:
    """What is read is sent to the agent's issuer: a link of root's is followed, the agent's own is not."""
    need("host", os.geteuid() == 0, "needs root")
    with public_folder() as folder:
        (folder / "theirs").mkdir()
        (folder / "theirs" / "token").write_bytes(b"secret-of-somebody-else")
        (folder / "roots").symlink_to("theirs")
        (folder / "agents").symlink_to(folder / "theirs")
        os.chown(folder / "agents", AGENT_UID, AGENT_UID, follow_symlinks=False)

        assert b"secret" == reading.read_file(str(folder / "roots" / "token"), max_bytes=99)[:6]
        with pytest.raises(Denied, match="not root's"):
            reading.read_file(str(folder / "agents" / "token"), max_bytes=99)


def test_a_link_to_itself_is_no_endless_walk() -> None:
    """Forty links are as many as the kernel follows."""
    need("host", os.geteuid() == 0, "needs root")
    with public_folder() as folder:
        (folder / "round").symlink_to("round")
        with pytest.raises(Denied):
            reading.read_file(str(folder / "round" / "token"), max_bytes=99)


def test_a_configuration_that_is_shared_with_a_mac_is_read(tmp_path: Path) -> None:
    """Of two IgnoreUnknown the first counts, which is ours: the usual word of theirs is among it."""
    program = shutil.which("ssh")
    need("ssh", program is not None, "no ssh client")
    config = tmp_path / "config"
    config.write_text("IgnoreUnknown UseKeychain\nUseKeychain yes\nForwardAgent yes\n")
    target = ssh.Target(parse_address("ssh://root@bot-7"), parse_host_key(KEY), str(config))

    command = ssh.arguments(str(program), target, str(tmp_path / "known_hosts"), "true")
    shown = subprocess.run([command[0], "-G", *command[1:]], capture_output=True, text=True, check=True)

    assert "forwardagent no" in shown.stdout
