"""Starts the runner from memory on the machine that it was sent to; nothing is written to a disk there.

Runs before anything of ours can be imported: standard library alone. `login` sends this text first, then the
program itself, over the same stream.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import zlib
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import BinaryIO

MAX_UNPACKED = 16 * 1024 * 1024
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class FromMemory(importlib.abc.InspectLoader, importlib.abc.MetaPathFinder):
    """Imports modules from their sources, and gives the sources to whoever asks, as a file's loader does."""

    def __init__(self, sources: dict[str, tuple[bool, str]]) -> None:
        """Keep, by name, whether it is a package, and its text."""
        self._sources = sources

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the finder's signature
        target: ModuleType | None = None,  # noqa: ARG002 - the same
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for what was sent; everything else is the standard library's."""
        if fullname not in self._sources:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=self._sources[fullname][0])

    def is_package(self, fullname: str) -> bool:
        """Return whether it is one."""
        return self._sources[fullname][0]

    def get_source(self, fullname: str) -> str:
        """Return the text."""
        return self._sources[fullname][1]

    def get_code(self, fullname: str) -> CodeType:
        """Compile it; tracebacks name it in angle brackets, as what has no file."""
        return compile(self.get_source(fullname), f"<sent {fullname}>", "exec", dont_inherit=True)


def receive(stream: BinaryIO) -> FromMemory:
    """Read the program and check that it is the one that was announced.

    Raises:
        ValueError: it is not.
    """
    size, digest = stream.readline(200).split()
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(stream.read(int(size)), MAX_UNPACKED)
    if hashlib.sha256(raw).hexdigest() != digest.decode():
        raise ValueError("the program did not arrive as it was sent")
    return FromMemory({name: (bool(kind), str(text)) for name, (kind, text) in json.loads(raw).items()})


def main(stream: BinaryIO) -> None:
    """Unpack, say that we are up, and run until the connection ends."""
    marker = sys.argv[1]
    out = os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    # What a program of the host reads or prints must not get into the connection.
    os.dup2(quiet, 0)
    os.dup2(quiet, 1)
    os.umask(0o077)
    os.chdir("/")
    login = os.environ.get("SUDO_UID", "")
    os.environ.clear()
    os.environ.update({"PATH": _PATH, "LC_ALL": "C", "HOME": "/", "SUDO_UID": login})
    try:
        sys.meta_path.insert(0, receive(stream))
        from breakglass_host.remote import runner
    except ImportError as error:
        _say(out, f"{marker} lacks {error.name or error}")
        os._exit(93)
    except Exception as error:  # noqa: BLE001 - whatever it was, the executor must be told and not wait
        _say(out, f"{marker} failed {type(error).__name__}: {error}")
        os._exit(94)
    _say(out, f"{marker} up")
    runner.main(stream, out)


def _say(out: int, text: str) -> None:
    os.write(out, b"\n" + text.replace("\n", " ")[:500].encode(errors="replace") + b"\n")


if __name__ == "__main__":
    main(globals()["stream"])
