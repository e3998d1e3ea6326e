"""Lays out one machine's files: a copy-on-write of the tree, its keys and names, and how nspawn starts it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import ProviderError
from breakglass_host import machine_owner, machine_programs
from breakglass_host.machine_programs import call

_SIZE = "1g"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one machine's files lie."""

    folder: Path

    @property
    def root(self) -> Path:
        """Return its file tree."""
        return self.folder / "root"

    @property
    def console(self) -> Path:
        """Return what its systemd and nspawn wrote to the console."""
        return self.folder / "console"

    @property
    def ssh_config(self) -> Path:
        """Return the configuration of the ssh client."""
        return self.folder / "ssh_config"

    @property
    def identity(self) -> Path:
        """Return the private key that its root account lets in."""
        return self.folder / "id_ed25519"


def make(id_: str, tree: Path) -> Place:
    """Make a file tree that begins as `tree` and that a machine may change as it likes.

    Raises:
        ProviderError: neither an overlay nor a copy could be made.
    """
    place = Place(machine_owner.folder(id_))
    place.folder.mkdir(mode=0o700, parents=True)
    memory = place.folder / "memory"
    for folder in (memory, place.root):
        folder.mkdir()
    call(["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "breakglass", str(memory)])
    for name in ("upper", "work"):
        (memory / name).mkdir(mode=0o755)
    layers = f"lowerdir={tree},upperdir={memory}/upper,workdir={memory}/work"
    try:
        call(["mount", "-t", "overlay", "-o", layers, "breakglass", str(place.root)])
    except ProviderError:
        # Some containers do not let an overlay lie on theirs.
        call(["umount", "--", str(memory)])
        call(["cp", "-a", "--reflink=auto", f"{tree}/.", str(place.root)], timeout_s=300.0)
    return place


def furnish(place: Place, name: str, address: str, proxy_command: str) -> str:
    """Give a machine its name, id and keys, and its operator an ssh configuration; return its host key."""
    root = place.root
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n")
    # An id that is there also means: this is not the first boot (machine-id(5)).
    (root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    (root / "etc/machine-id").chmod(0o444)
    host_key = root / "etc/ssh/ssh_host_ed25519_key"
    _new_key(host_key, name)
    _new_key(place.identity, "operator")
    home = root / "root/.ssh"
    home.mkdir(mode=0o700, exist_ok=True)
    keys = home / "authorized_keys"
    keys.write_text(place.identity.with_suffix(".pub").read_text())
    keys.chmod(0o600)
    public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    known = place.folder / "known_hosts"
    known.write_text(f"{name},{address} {public}\n")
    place.ssh_config.write_text(
        f"Host {name}\n"
        f"  HostName {address}\n"
        "  User root\n"
        f"  IdentityFile {place.identity}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known}\n"
        "  StrictHostKeyChecking yes\n"
        # The command connects, hands the socket over and ends (ssh_config(5)).
        "  ProxyUseFdpass yes\n"
        f"  ProxyCommand {proxy_command}\n"
    )
    return public


def _new_key(path: Path, comment: str) -> None:
    call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])


def nspawn(
    place: Place, id_: str, name: str, namespace: str, binds: Sequence[tuple[Path, Path]]
) -> list[str]:
    """Return the command that starts it (systemd-nspawn(1)); it may already be in its own cgroup."""
    return [
        machine_programs.found("systemd-nspawn"),
        "--quiet",
        f"--directory={place.root}",
        f"--machine={id_}",
        f"--hostname={name}",
        "--register=no",
        "--keep-unit",
        f"--network-namespace-path={machine_owner.NETNS / namespace}",
        # Only a network that nspawn made itself would bring it along, and nft needs it.
        "--capability=CAP_NET_ADMIN",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
        *(f"--bind={_escaped(outside)}:{_escaped(inside)}" for outside, inside in binds),
        "--boot",
        "systemd.firstboot=off",
    ]


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:")
