"""Finds the ssh keys that an account holds itself, and whose doors on this host they open.

A process that has ended cannot use its key any more; whoever was sent a copy of it can. An OpenSSH private
key carries its public half in clear (PROTOCOL.key), so that no passphrase is needed to recognise it.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import pwd
import struct
from collections.abc import Iterator

from breakglass.errors import ProviderError
from breakglass_host import inode, safepath, vault
from breakglass_host.accounts import sshd
from breakglass_host.accounts.account import Account
from breakglass_host.patient import HangingRead, PatientReader

_BEGIN, _END = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END"
_MAGIC = b"openssh-key-v1\0"
_PUBLIC = (b"ssh-", b"ecdsa-", b"sk-")
_KEY = (b"-----BEGIN ", b"PuTTY-User-Key-File", *_PUBLIC)
_NO_KEYS = {"authorized_keys", "authorized_keys2", "known_hosts", "known_hosts.old", "config"}
_MAX_KEY, _MAX_KEYS, _MAX_ACCOUNTS = 64 * 1024, 1000, 5000
_MAX_FILE, _HANGS = 1024 * 1024, 3
"""A pipe, or a file on a server that is gone, may never answer."""


def names(account: Account) -> list[str]:
    """Return the names of what may be private keys in the account's own folder."""
    return [
        name for name, data in _files(account) if not name.endswith(".pub") and not data.startswith(_PUBLIC)
    ]


def elsewhere(account: Account) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return which of its keys open another account (key, account, file), and the files that hang."""
    held: dict[bytes, str] = {}
    for name, data in _files(account):
        for blob in (*public_half(data), *(data.split()[1:2] if not data.startswith(_BEGIN) else ())):
            held.setdefault(blob, name)
    found, hanging = [], list[str]()
    reader = PatientReader(largest=_MAX_FILE)
    others = (one for one in pwd.getpwall() if one.pw_uid != account.uid) if held else iter(())
    for other in itertools.islice(others, _MAX_ACCOUNTS):
        home = Account(other.pw_name, other.pw_uid, other.pw_gid, (), other.pw_dir)
        for path in (sshd.expand(one, home) for one in sshd.DEFAULT_FILES):
            try:
                words = set(reader.read(path).split()) if len(hanging) < _HANGS else set()
            except HangingRead:
                hanging.append(path)
                continue
            except OSError:
                continue
            found += [(held[blob], other.pw_name, path) for blob in held if blob in words]
    reader.close()
    return found, hanging


def public_half(data: bytes) -> Iterator[bytes]:
    """Yield the public key of an OpenSSH private key, as it stands in authorized_keys."""
    if not data.startswith(_BEGIN):
        return
    text = data[len(_BEGIN) :].partition(_END)[0]
    try:
        raw = base64.b64decode(b"".join(text.split()), validate=True)
        if not raw.startswith(_MAGIC):
            return
        at = len(_MAGIC)
        for _ in range(3):  # cipher, kdf, kdf options
            at += 4 + struct.unpack_from(">I", raw, at)[0]
        size = struct.unpack_from(">I", raw, at + 4)[0]
    except (binascii.Error, struct.error):
        return
    yield base64.b64encode(raw[at + 8 : at + 8 + size])


def _usual_first(name: str) -> tuple[bool, str]:
    return not name.startswith("id_"), name


def _files(account: Account) -> list[tuple[str, bytes]]:
    """Read what is a key, or is named like one, without following a link and without waiting for anybody."""
    found = []
    try:
        with safepath.folder(sshd.settled(f"{account.home}/.ssh", account)[0]) as at:
            for name in sorted(set(vault.names(at)) - _NO_KEYS, key=_usual_first)[:_MAX_KEYS]:
                try:
                    about = inode.read(name, at)
                    data = inode.content(name, at, about, _MAX_KEY) if about else None
                except (OSError, ProviderError):
                    data = None
                # The agent chooses the names: what is called otherwise counts by what is in it.
                if name.startswith("id_") or (data or b"").startswith(_KEY):
                    found.append((name, data or b""))
    except OSError:
        return []
    return found
