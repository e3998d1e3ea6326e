"""Gives machines of tests and drills their networks: each one its own namespace, tied to the operator's.

The operator's side is a namespace too. So nothing shows up in the network of the machine that runs the
tests, and any number of runs may use the same private addresses (10.77.0.0/16) at the same time. Each
machine has a link of its own to the operator's namespace, which forwards nothing: machines do not see each
other.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from breakglass.errors import ProviderError
from breakglass_host import machine_owner, machine_programs
from breakglass_host.machine_programs import call

_LINKS = 64 * 256
_numbers = itertools.count()

PROGRAM = """
import json, socket, sys, time
request = json.loads(sys.argv[1])
made = []
until = time.monotonic() + request["within_s"]
for host, port in request["listen"]:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, port))
    one.listen(512)
    made.append(one)
for host, port in request["connect"]:
    while True:
        try:
            one = socket.create_connection((host, port), timeout=max(0.1, until - time.monotonic()))
            one.setblocking(True)
            made.append(one)
            break
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
with socket.socket(fileno=1) as out:
    socket.send_fds(out, [b"\\0"], [one.fileno() for one in made])
"""
"""Opens sockets in the namespace that it is started in, and hands them over on its standard output."""

Address = tuple[str, int]


class Network:
    """The operator's network namespace, and those of the machines that it reaches."""

    def __init__(self) -> None:
        """Make the operator's namespace.

        Raises:
            ProviderError: the kernel refused.
        """
        self.id = machine_owner.new_id()
        self.operator = f"{self.id}-op"
        self._lock = threading.Lock()
        _make_namespace(self.operator)

    def attach(self, id_: str) -> tuple[str, str]:
        """Make a machine's namespace with its link; return the namespace's name and the machine's address.

        Raises:
            ProviderError: the kernel refused.
        """
        number = next(_numbers) % _LINKS
        third, fourth = divmod(number * 4, 256)
        ours, theirs = f"10.77.{third}.{fourth + 1}", f"10.77.{third}.{fourth + 2}"
        name, link = f"{id_}-net", f"m{number}"
        with self._lock:
            _make_namespace(name)
            _batch(
                self.operator,
                f"link add {link} type veth peer name host0 netns {name}",
                f"address add {ours}/30 dev {link}",
                f"link set {link} up",
            )
            _batch(name, f"address add {theirs}/30 dev host0", "link set host0 up")
        return name, theirs

    def connect(self, address: str, port: int, *, within_s: float = 10.0) -> socket.socket:
        """Connect from the operator's namespace, trying again until the time is over.

        Raises:
            ProviderError: nothing answered.
        """
        [one] = open_sockets(self.operator, connect=[(address, port)], within_s=within_s)
        return one

    def listen(self, addresses: Sequence[Address]) -> tuple[socket.socket, ...]:
        """Listen in the operator's namespace.

        Raises:
            ProviderError: an address cannot be had.
        """
        return open_sockets(self.operator, listen=addresses)

    def proxy_command(self) -> str:
        """Return what an ssh configuration needs to connect from here, with ``ProxyUseFdpass yes``."""
        place = machine_owner.folder(self.id)
        place.mkdir(parents=True, exist_ok=True)
        program = place / "connect.py"
        if not program.exists():
            new = place / f"connect.{threading.get_ident()}"
            new.write_text(_CONNECT.format(program=PROGRAM))
            new.rename(program)
        nsenter = machine_programs.found("nsenter")
        namespace = machine_owner.NETNS / self.operator
        return f"{nsenter} --net={namespace} {sys.executable} -I -S {program} %h %p"

    def close(self) -> None:
        """Remove the operator's namespace and with it every link; safe to repeat."""
        machine_owner.clear(self.id)


_CONNECT = """
import json, sys
address = [[sys.argv[1], int(sys.argv[2])]]
sys.argv[1:] = [json.dumps(dict(listen=[], connect=address, within_s=10.0))]
{program}
"""


def open_sockets(
    namespace: str, *, listen: Sequence[Address] = (), connect: Sequence[Address] = (), within_s: float = 10.0
) -> tuple[socket.socket, ...]:
    """Open sockets inside a named network namespace for use out here, in the order asked for.

    Raises:
        ProviderError: one of them cannot be had.
    """
    where = f"--net={machine_owner.NETNS / namespace}"
    request = json.dumps({"listen": listen, "connect": connect, "within_s": within_s})
    argv = [machine_programs.found("nsenter"), where, sys.executable, "-I", "-S", "-c", PROGRAM, request]
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                argv, stdin=subprocess.DEVNULL, stdout=theirs.fileno(), stderr=subprocess.PIPE
            )
        _, said = child.communicate(timeout=within_s + 20.0)
        _, handles, *_ = socket.recv_fds(ours, 1, len(listen) + len(connect))
    if child.returncode != 0 or len(handles) != len(listen) + len(connect):
        for handle in handles:
            os.close(handle)
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise ProviderError(f"no socket in network namespace {namespace}: {last}")
    for handle in handles:
        os.set_inheritable(handle, False)  # noqa: FBT003 - the standard library's own signature
    return tuple(socket.socket(fileno=handle) for handle in handles)


def _make_namespace(name: str) -> None:
    call(["ip", "netns", "add", name])
    call(["ip", "-n", name, "link", "set", "lo", "up"])
    # A new namespace starts with the values of the first one (kernel: ip-sysctl.rst), which may forward.
    where = str(machine_owner.NETNS / name)
    text = "echo 0 >/proc/sys/net/ipv4/ip_forward"
    with contextlib.suppress(ProviderError):  # /proc/sys may be read-only, and forwarding is off by default
        call(["nsenter", f"--net={where}", "sh", "-c", text])


def _batch(namespace: str, *commands: str) -> None:
    for one in commands:
        call(["ip", "-n", namespace, *one.split()])


def exists(name: str) -> bool:
    """Return True while a named namespace is there."""
    return Path(machine_owner.NETNS, name).exists()
