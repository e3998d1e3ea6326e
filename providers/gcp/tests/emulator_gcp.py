"""Google's own Pub/Sub emulator, where it can be had: a jar, and Java to run it.

The jar is named by BREAKGLASS_PUBSUB_EMULATOR, or lies where the component ``pubsub-emulator`` of gcloud puts
it. It has no IAM and no DetachSubscription.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

JAR = "BREAKGLASS_PUBSUB_EMULATOR"
STARTS_S = 30


def jar() -> Path | None:
    """Return where the emulator lies; None: it is not here."""
    if named := os.environ.get(JAR):
        return Path(named) if Path(named).is_file() else None
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    root = Path(gcloud).resolve().parent.parent
    return next(iter(sorted(root.glob("platform/pubsub-emulator/lib/*-all.jar"))), None)


def missing() -> str:
    """Return why it cannot run here; empty: it can."""
    if jar() is None:
        return f"Google's Pub/Sub emulator is not here: name its jar in {JAR}"
    return "" if shutil.which("java") else "Google's Pub/Sub emulator needs Java on PATH"


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """Run it on a free port of loopback; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["java", "-Xmx256m", "-jar", str(jar()), "--host=127.0.0.1", f"--port={port}"]
    with (folder / "emulator.log").open("wb") as log:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _ready(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(10)


def _ready(port: int) -> None:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        grpc.channel_ready_future(channel).result(STARTS_S)


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """Run a server that takes every push; give its address, and what it was sent."""
    got: list[str] = []

    class Takes(http.server.BaseHTTPRequestHandler):
        """Takes all."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append(b64decode(body["message"]["data"]).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *unused: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/work", got
    finally:
        server.shutdown()
        server.server_close()
