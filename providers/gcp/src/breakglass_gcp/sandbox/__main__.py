"""``python -m breakglass_gcp.sandbox``: serves the sandbox and says how to point Google's clients at it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING

from breakglass_gcp.sandbox.process import CONTROL

if TYPE_CHECKING:
    import logging

    from breakglass_gcp.sandbox.server import Server

    logging.basicConfig(level=logging.WARNING)

HOW = """
A strict Google Cloud on loopback, for drills and tests. A reach of a drill kit (kit init --drill) names it:

  endpoints: {{grpc: "http://{grpc}", rest: "{rest}"}}

A project with its number, and its owner's token, which serves as the executor's secret of the reach:

  project  curl -sX POST {rest}{control}project -d '{{}}'
  token    curl -sX POST {rest}{control}admin -d '{{}}'
  secret   {{"type": "access_token", "token": "..."}}

Google's own clients:

  gRPC   Client(transport=XGrpcTransport(channel=grpc.insecure_channel("{grpc}")))
  REST   Client(transport="rest", credentials=..., client_options={{"api_endpoint": "{rest}"}})

What it is: models of the services' methods behind the message types of Google's own clients; it verifies
bearer tokens, decides by allow policies, deny policies and boundaries, and records each call.
What it is not: Google Cloud. State is in memory and lost at the end. A method that it lacks is refused with
UNIMPLEMENTED. Settle times and budgets are as set through {control}.
End it with Ctrl-C.
"""


def main(arguments: list[str]) -> int:
    """Serve until a signal, or until the program that started it has ended."""
    parser = argparse.ArgumentParser(prog="python -m breakglass_gcp.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of gRPC; 0: any free one")
    parser.add_argument("--rest-port", type=int, default=0, help="of REST and control; 0: any free one")
    parser.add_argument("--quiet", action="store_true", help="print the endpoints and nothing else")
    parser.add_argument("--until-eof", action="store_true", help="end when the standard input ends")
    options = parser.parse_args(arguments)
    import logging

    from breakglass_gcp.sandbox.server import Server

    logging.basicConfig(level=logging.WARNING)

    try:
        server = Server(options.port, options.rest_port)
    except OSError as error:
        print(f"the sandbox cannot listen: {error}", file=sys.stderr)  # noqa: T201 - a program of its own
        return 1
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: server.stop())
    if options.until_eof:
        threading.Thread(target=_watch_input, args=(server,), daemon=True).start()
    print(json.dumps({"grpc": server.grpc, "rest": server.rest}), flush=True)  # noqa: T201 - its first line is its addresses
    if not options.quiet:
        grpc = server.grpc.removeprefix("http://")
        print(HOW.format(grpc=grpc, rest=server.rest, control=CONTROL), flush=True)  # noqa: T201 - as above
    server.serve()
    return 0


def _watch_input(server: Server) -> None:
    """End with the program that started this one: its end of the pipe closes, however it dies."""
    while sys.stdin.buffer.read(4096):
        pass
    server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
