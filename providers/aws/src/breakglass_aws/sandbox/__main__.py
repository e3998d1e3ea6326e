"""``python -m breakglass_aws.sandbox``: serves the sandbox and says how to point any SDK at it."""

from __future__ import annotations

import argparse
import sys

from breakglass_aws.sandbox.server import Server


def main(arguments: list[str]) -> int:
    """Serve until the end of the input of control, or a signal."""
    parser = argparse.ArgumentParser(prog="python -m breakglass_aws.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="0: any free one")
    parser.add_argument("--quiet", action="store_true", help="print the endpoint and nothing else")
    options = parser.parse_args(arguments)
    server = Server(options.port)
    print(server.endpoint, flush=True)  # noqa: T201 - a program of its own; its first line is its address
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
