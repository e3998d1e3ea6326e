"""``python -m breakglass_kubernetes.sandbox``: serves a control plane and says how to reach it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from breakglass.errors import BreakglassError
from breakglass_kubernetes.sandbox import build, flags, pins

HOW = """
A real Kubernetes {kubernetes} control plane on loopback, for drills and tests. Point any client at it:

  export KUBECONFIG={kubeconfig}
  kubectl get nodes

An agent's reach to it, in a kit made with --drill:

  - provider: kubernetes
    server: {server}
    cluster_uid: {uid}
    kubeconfig: {kubeconfig}
    sandbox: true
    # and what is the agent's: namespace, selector, service_accounts ...

What it is: etcd, kube-apiserver and kube-controller-manager as released, with RBAC, admission, an audit log
({audit}) and service account tokens; autoscalers look every {hpa} s instead of every 15 s.
What it is not: nodes. A stub plays scheduler and kubelet: it binds pods, gives them a status and log lines,
and confirms their deletion. No container runs and no packet flows, so nothing here shows that a CNI enforces
a NetworkPolicy, that a process obeys a signal, or what a real log holds. Its state is gone at the end.
End it with Ctrl-C.
"""


def main(arguments: list[str]) -> int:
    """Serve until a signal, or until the program that started it has ended."""
    parser = argparse.ArgumentParser(prog="python -m breakglass_kubernetes.sandbox", description=__doc__)
    parser.add_argument("--build", action="store_true", help="build what is absent and end")
    parser.add_argument("--folder", type=Path, help="keep its files here (default: a temporary folder)")
    parser.add_argument("--quiet", action="store_true", help="print its folder and nothing else")
    parser.add_argument("--until-eof", action="store_true", help="end when the standard input ends")
    options = parser.parse_args(arguments)
    try:
        if options.build:
            programs = build.ensure(os.environ, _say)
            print("\n".join(map(str, (programs.etcd, programs.api_server, programs.manager))))  # noqa: T201 - a program of its own
            return 0
        return _serve(options)
    except BreakglassError as error:
        _say(str(error) + (f"; {error.remedy}" if error.remedy else ""))
        return error.exit_code


def _serve(options: argparse.Namespace) -> int:
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: _end(ended))
    if options.until_eof:
        threading.Thread(target=_watch_input, args=(ended,), daemon=True).start()
    programs = build.find(os.environ) if options.quiet else build.ensure(os.environ, _say)
    from breakglass_kubernetes.sandbox.program import Program

    folder = options.folder.absolute() if options.folder is not None else None
    try:
        serving = Program(programs, folder)
    except KeyboardInterrupt:
        return 0
    try:
        print(serving.folder, flush=True)  # noqa: T201 - its first line is where everything about it is
        if not options.quiet:
            how = HOW.format(
                kubernetes=pins.KUBERNETES,
                kubeconfig=serving.folder / "admin.kubeconfig",
                audit=serving.folder / "audit.log",
                server=serving.server,
                uid=serving.cluster_uid,
                hpa=flags.HPA_SYNC_S,
            )
            print(how, flush=True)  # noqa: T201 - as above
        serving.serve()
    except KeyboardInterrupt:
        pass
    finally:
        _deaf()
        serving.close()
    return 0


def _end(ended: threading.Event) -> None:
    """Leave whatever the main thread is doing, once: closing must not be interrupted."""
    if not ended.is_set():
        ended.set()
        raise KeyboardInterrupt


def _deaf() -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)


def _watch_input(ended: threading.Event) -> None:
    """End with the program that started this one: its end of the pipe closes, however it dies."""
    # Not through sys.stdin: its lock, held by a thread that waits, breaks the interpreter's end.
    while os.read(0, 4096):
        pass
    if not ended.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a program of its own


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
