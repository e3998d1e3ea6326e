"""Packs the program that is sent to another machine: the sources of the host provider and of its port.

Its digest is over what is unpacked there, so that it does not depend on the version of a compressor.
"""

from __future__ import annotations

import json
import pkgutil
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import InspectLoader
from importlib.util import find_spec

from breakglass.canon import sha256
from breakglass.errors import Unsupported

_CORE = (
    "breakglass",
    "breakglass.errors",
    "breakglass.canon",
    "breakglass.clock",
    "breakglass.shape",
)
_PACKAGES = ("breakglass.model", "breakglass.provider", "breakglass_host")
_STAYS = (
    # Where a drill's agent lives, and what stands on the executor's side of a connection.
    "breakglass_host.sandbox",
    "breakglass_host.visible",
    "breakglass_host.machine",
    "breakglass_host.remote.allowance",
    "breakglass_host.remote.bundle",
    "breakglass_host.remote.host",
    "breakglass_host.remote.link",
    "breakglass_host.remote.login",
    "breakglass_host.remote.opening",
    "breakglass_host.remote.refusals",
    "breakglass_host.remote.rewrite",
    "breakglass_host.remote.serving",
    "breakglass_host.remote.session",
    "breakglass_host.remote.ssh",
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The program, as it travels and as a plan names it."""

    data: bytes
    sha256: str
    boot: str
    """The source that unpacks it there."""


_lock = threading.Lock()
_made: list[Bundle] = []


def bundle() -> Bundle:
    """Return the program; read once in a process, so that what was planned is what is sent.

    Raises:
        Unsupported: this installation has no sources.
    """
    with _lock:
        if not _made:
            sources = {name: [_is_package(name), _source(name)] for name in sorted(set(_names()))}
            raw = json.dumps(sources, sort_keys=True, separators=(",", ":")).encode()
            boot = _source("breakglass_host.remote.boot")
            _made.append(Bundle(zlib.compress(raw, 9), sha256(raw), boot))
        return _made[0]


def _names() -> Iterator[str]:
    yield from _CORE
    for package in _PACKAGES:
        yield from _of_package(package)


def _of_package(package: str) -> Iterator[str]:
    yield package
    spec = find_spec(package)
    for one in pkgutil.iter_modules(spec.submodule_search_locations if spec else None, f"{package}."):
        if one.name.startswith(_STAYS):
            continue
        if one.ispkg:
            yield from _of_package(one.name)
        else:
            yield one.name


def _loader(name: str) -> InspectLoader:
    found = find_spec(name)
    if found is None or not isinstance(found.loader, InspectLoader):
        raise Unsupported(f"the source of {name} is not at hand, so no other machine can be driven")
    return found.loader


def _is_package(name: str) -> bool:
    return _loader(name).is_package(name)


def _source(name: str) -> str:
    text = _loader(name).get_source(name)
    if text is None:
        raise Unsupported(f"the source of {name} is not at hand, so no other machine can be driven")
    return text
