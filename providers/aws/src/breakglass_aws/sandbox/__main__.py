"""``python -m breakglass_aws.sandbox``: serves the sandbox and says how to point any SDK at it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING

from breakglass_aws.sandbox.process import CONTROL, REGION

if TYPE_CHECKING:
    from breakglass_aws.sandbox.server import Server

HOW = """
A strict AWS on loopback, for drills and tests. Point any SDK at it:

  export AWS_ENDPOINT_URL={endpoint}
  export AWS_ACCESS_KEY_ID=AKIAADMINADMINADMIN0 AWS_SECRET_ACCESS_KEY=admin
  export AWS_DEFAULT_REGION={region}

What it is: moto's services behind a front that verifies signatures, keys and sessions, decides by IAM's
documented rules (identity, boundary, session, trust, resource, organization policies), and records each call.
What it is not: AWS. State is in memory and lost at the end. An operation that it lacks is refused with
NotImplementedBySandbox. Settle times and throttling are as set through {control}, not as AWS has them;
web identity tokens are read, not verified; the built-in administrator is the account's root and may assume
roles.
End it with Ctrl-C.
"""


def main(arguments: list[str]) -> int:
    """Serve until a signal, or until the program that started it has ended."""
    parser = argparse.ArgumentParser(prog="python -m breakglass_aws.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="0: any free one")
    parser.add_argument("--quiet", action="store_true", help="print the endpoint and nothing else")
    parser.add_argument("--until-eof", action="store_true", help="end when the standard input ends")
    options = parser.parse_args(arguments)
    from breakglass_aws.sandbox.server import Server

    try:
        server = Server(options.port)
    except OSError as error:
        print(f"the sandbox cannot listen on port {options.port}: {error}", file=sys.stderr)  # noqa: T201 - a program of its own
        return 1
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: server.stop())
    if options.until_eof:
        threading.Thread(target=_watch_input, args=(server,), daemon=True).start()
    print(server.endpoint, flush=True)  # noqa: T201 - a program of its own; its first line is its address
    if not options.quiet:
        print(HOW.format(endpoint=server.endpoint, region=REGION, control=CONTROL), flush=True)  # noqa: T201 - as above
    server.serve()
    return 0


def _watch_input(server: Server) -> None:
    """End with the program that started this one: its end of the pipe closes, however it dies."""
    while sys.stdin.buffer.read(4096):
        pass
    server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
