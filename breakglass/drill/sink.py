"""Runs the drill's downstream system: ``python -m breakglass.drill.sink --config FILE``.

It issues tokens, honours them until they are revoked, and stamps each effect that arrives. It is a program
of its own, on the standard library alone, and takes listening sockets by file descriptor, so that one of
them may have been made inside the agent's network namespace. The configuration is JSON:

    {"v": 1, "agent": "support-bot", "folder": "/tmp/drill/sink", "forbidden": ["exfiltrate"],
     "http":   [{"name": "agent", "fd": 5}, {"name": "executor", "host": "127.0.0.1", "port": 0}],
     "stream": [{"name": "agent", "fd": 6}],
     "clients": [{"client_id": "support-bot", "client_secret": "..."},
                 {"client_id": "breakglass-revoker", "client_secret": "...", "revoker": true}],
     "token_ttl_s": 3600, "tripwire_every_s": 0.1, "lifeline_fd": null, "faults": []}

In `folder` it writes ready.json (once every listener answers), arrivals.jsonl and alert.json. It ends on
SIGTERM, and when the writing end of the pipe `lifeline_fd` is closed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer, ThreadingTCPServer

from breakglass.drill.sink_faults import Fault, Faults
from breakglass.drill.sink_http import Desk, handler_for
from breakglass.drill.sink_issuer import Client, Issuer
from breakglass.drill.sink_stream import stream_handler_for
from breakglass.drill.tripwire import Tripwire, watch
from breakglass.drill.truth import ArrivalLog
from breakglass.errors import MalformedInput

ARRIVALS = "arrivals.jsonl"
ALERT = "alert.json"
READY = "ready.json"
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen: an inherited socket, or an address (port 0: any)."""

    name: str
    fd: int | None = None
    host: str = "127.0.0.1"
    port: int = 0

    def open(self) -> socket.socket:
        """Return the listening socket."""
        if self.fd is not None:
            found = socket.socket(fileno=self.fd)
        else:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            found = socket.socket(family, socket.SOCK_STREAM)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((self.host, self.port))
        found.listen(BACKLOG)
        return found


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """What the sink is told."""

    agent: str
    folder: Path
    forbidden: frozenset[str]
    http: tuple[Listener, ...]
    stream: tuple[Listener, ...]
    clients: tuple[Client, ...]
    faults: tuple[Fault, ...]
    token_ttl_s: float
    tripwire_every_s: float
    lifeline_fd: int | None

    @classmethod
    def read(cls, path: Path) -> SinkConfig:
        """Read the file.

        Raises:
            MalformedInput: it is not such a configuration.
        """
        try:
            body = json.loads(path.read_bytes())
            if body["v"] != 1:
                raise MalformedInput("not version 1", where=str(path))
            return cls(
                agent=str(body["agent"]),
                folder=Path(body["folder"]),
                forbidden=frozenset(body.get("forbidden", ["exfiltrate"])),
                http=tuple(Listener(**item) for item in body["http"]),
                stream=tuple(Listener(**item) for item in body.get("stream", [])),
                clients=tuple(Client(**item) for item in body["clients"]),
                faults=tuple(Fault(**item) for item in body.get("faults", [])),
                token_ttl_s=float(body.get("token_ttl_s", 3600)),
                tripwire_every_s=float(body.get("tripwire_every_s", 0.1)),
                lifeline_fd=body.get("lifeline_fd"),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MalformedInput(f"not a sink's configuration: {error!r}", where=str(path)) from error


def serve(config: SinkConfig, stop: threading.Event) -> None:
    """Listen until `stop` is set."""
    log = ArrivalLog(config.folder / ARRIVALS)
    issuer = Issuer(config.clients, log, ttl_s=config.token_ttl_s)
    http_handler = handler_for(Desk(issuer, Faults(config.faults)))
    stream_handler = stream_handler_for(issuer)
    servers = [(item, "http", _server(item, http_handler, http=True)) for item in config.http]
    servers += [(item, "stream", _server(item, stream_handler, http=False)) for item in config.stream]
    threads = [threading.Thread(target=server.serve_forever, args=(0.1,)) for _, _, server in servers]
    tripwire = Tripwire(config.agent, config.forbidden, config.folder / ALERT)
    arrivals = config.folder / ARRIVALS
    threads.append(
        threading.Thread(
            target=watch, args=(tripwire, arrivals), kwargs={"every_s": config.tripwire_every_s, "stop": stop}
        )
    )
    for thread in threads:
        thread.start()
    _say_ready(config.folder / READY, [(kind, item, server) for item, kind, server in servers])
    stop.wait()
    for _, _, server in servers:
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join()
    log.close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        _only_bugs(super().handle_error, request, client_address)


class _StreamServer(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        _only_bugs(super().handle_error, request, client_address)


def _only_bugs(report: Callable[..., None], request: object, client_address: object) -> None:
    """Print the traceback of a bug; a caller that goes away in the middle is daily business here."""
    if not isinstance(sys.exc_info()[1], OSError):
        report(request, client_address)


def _server(listener: Listener, handler: type[BaseRequestHandler], *, http: bool) -> TCPServer:
    made = (_HttpServer if http else _StreamServer)(("127.0.0.1", 0), handler, bind_and_activate=False)
    made.socket.close()
    made.socket = listener.open()
    made.server_address = made.socket.getsockname()
    return made


def _say_ready(path: Path, servers: Sequence[tuple[str, Listener, TCPServer]]) -> None:
    """Write where the sink listens, all at once."""
    listening: list[Mapping[str, object]] = [
        {
            "kind": kind,
            "name": item.name,
            "host": server.socket.getsockname()[0],
            "port": server.socket.getsockname()[1],
        }
        for kind, item, server in servers
    ]
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(json.dumps({"v": 1, "pid": os.getpid(), "listening": listening}), encoding="utf-8")
    unfinished.replace(path)


def _follow(lifeline_fd: int, stop: threading.Event) -> None:
    """Set `stop` when everyone who held the writing end of the pipe is gone."""
    while os.read(lifeline_fd, 4096):
        pass
    stop.set()


def main(arguments: Sequence[str]) -> int:
    """Run until told to end."""
    if len(arguments) != 2 or arguments[0] != "--config":  # noqa: PLR2004 - the flag and its value
        sys.stderr.write("usage: python -m breakglass.drill.sink --config FILE\n")
        return 2
    try:
        config = SinkConfig.read(Path(arguments[1]))
    except MalformedInput as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    if config.lifeline_fd is not None:
        threading.Thread(target=_follow, args=(config.lifeline_fd, stop), daemon=True).start()
    serve(config, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
