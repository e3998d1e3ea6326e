"""Takes effects over a raw TCP stream: the first line names token and channel, the others are effects."""

from __future__ import annotations

import json
import re
from socketserver import StreamRequestHandler
from typing import cast

from breakglass.drill.sink_issuer import Issuer

MAX_LINE = 4096
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)


class StreamHandler(StreamRequestHandler):
    """One held connection; each line is judged for itself, and a refusal ends the connection."""

    timeout = 120
    issuer: Issuer

    def handle(self) -> None:
        """Read the opening line and then effects until one is refused."""
        try:
            opening = json.loads(self.rfile.readline(MAX_LINE))
            token, channel, by = str(opening["token"]), str(opening["channel"]), str(opening.get("by", ""))
        except (ValueError, KeyError, TypeError, OSError):
            return
        if _CHANNEL.fullmatch(channel) is None:
            return
        try:
            while self.rfile.readline(MAX_LINE):
                if not self.issuer.effect(token, channel, by[:64]).allowed:
                    self.wfile.write(b"401\n")
                    return
        except OSError:
            return


def stream_handler_for(issuer: Issuer) -> type[StreamHandler]:
    """Return the handler class that asks this issuer."""
    return cast("type[StreamHandler]", type("BoundStreamHandler", (StreamHandler,), {"issuer": issuer}))
