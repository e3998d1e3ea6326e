"""Reads files on the machines that an agent's other reaches are connected to, by the machine's bare name."""

from __future__ import annotations

from urllib.parse import urlsplit

from breakglass.errors import Denied
from breakglass.model.resource import Reach
from breakglass.provider import Provider, ReadsFiles

LOCAL = "local"


class ConnectedMachines:
    """Filled while providers are connected, asked once all of them are."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: dict[str, ReadsFiles] = {}
        self._ways: dict[str, set[tuple[str, str]]] = {}

    def add(self, reach: Reach, provider: Provider) -> None:
        """Remember a provider of a machine; of two to one machine, the first answers."""
        if name := machine_of(reach):
            # Two machines may share a name, behind two ports: one must not answer for the other.
            way = (str(_port(reach)), str(reach.settings.get("host_key")))
            self._ways.setdefault(name, set()).add(way)
            if isinstance(provider, ReadsFiles):
                self._found.setdefault(name, provider)

    def read_file(self, host: str, path: str, *, max_bytes: int) -> bytes:
        """Return the bytes of a file there.

        Raises:
            Denied: no reach of this agent is connected to that machine, or it refuses, or two have the name.
            ProviderError: it does not answer.
        """
        if (found := self._found.get(host.lower())) is None:
            raise Denied(f"no reach of this agent is connected to {host}", where=path)
        if len(self._ways[host.lower()]) > 1:
            raise Denied(f"two machines of this agent are called {host}", where=path)
        return found.read_file(path, max_bytes=max_bytes)


def _port(reach: Reach) -> int | None:
    try:
        return urlsplit(str(reach.settings.get("host"))).port
    except ValueError:
        return None


def machine_of(reach: Reach) -> str:
    """Return the bare name of the machine that a reach is about; empty: none."""
    host = reach.settings.get("host")
    if not isinstance(host, str):
        return ""
    try:
        return LOCAL if host == LOCAL else urlsplit(host).hostname or ""
    except ValueError:
        return ""
