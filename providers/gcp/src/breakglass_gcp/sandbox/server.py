"""Puts the sandbox together: one world behind a gRPC port and a REST port of loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from breakglass_gcp.sandbox.call import Raw
from breakglass_gcp.sandbox.control import Control
from breakglass_gcp.sandbox.front import Front
from breakglass_gcp.sandbox.grpc_port import GrpcPort
from breakglass_gcp.sandbox.loading import load
from breakglass_gcp.sandbox.platform import Platform
from breakglass_gcp.sandbox.process import CONTROL
from breakglass_gcp.sandbox.rest_front import RestFront
from breakglass_gcp.sandbox.rest_port import RestPort
from breakglass_gcp.sandbox.tables import Tables
from breakglass_gcp.sandbox.world import World


class Server:
    """The whole sandbox; `grpc` and `rest` are its addresses."""

    def __init__(self, port: int, rest_port: int) -> None:
        """Bind both ports and read every table; nothing is served yet.

        Raises:
            OSError: a port is taken.
        """
        self._world, self._loaded, tables = World(), load(), Tables()
        front = Front(self._world, self._loaded.handlers, self._loaded.open, self._loaded.resources)
        self._rest_front = RestFront(front, tables, self._loaded.endpoints)
        self._rest_front.load()
        self._platform = Platform(self._world, self._loaded.ticks)
        self._control = Control(front, self._loaded, self._platform)
        self._grpc_port = GrpcPort(front, tables, port)
        self._rest_port = RestPort(self._answer, rest_port, self._world.date)
        self.grpc = self._world.grpc = f"http://127.0.0.1:{self._grpc_port.port}"
        self.rest = self._world.rest = f"http://127.0.0.1:{self._rest_port.port}"

    def serve(self) -> None:
        """Serve until `stop`."""
        self._grpc_port.start()
        self._platform.start()
        self._rest_port.serve()

    def stop(self) -> None:
        """End serving, from whatever thread or signal handler."""
        self._platform.stop()
        self._grpc_port.stop()
        self._rest_port.stop()

    def _answer(
        self, verb: str, path: str, query: Mapping[str, Sequence[str]], headers: Mapping[str, str], raw: bytes
    ) -> Raw:
        if path.startswith(CONTROL):
            return self._control.answer(unquote(path.removeprefix(CONTROL)), raw)
        return self._rest_front.answer(verb, path, query, headers, raw)
