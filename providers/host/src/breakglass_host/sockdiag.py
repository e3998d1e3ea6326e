"""Lists and destroys sockets of the current network namespace through SOCK_DIAG (sock_diag(7)).

Standard library alone: the helper that enters a namespace runs this file without the rest of the package.
A destroy request that matches nothing is no error there, so callers list again and never trust the answer.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY, _DESTROY = 20, 21
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_CGROUP_ID = 21
"""INET_DIAG_CGROUP_ID of linux/inet_diag.h: the cgroup that the socket was born in."""
_ESTABLISHED = 1
_IDLE = (2, 3, 6, 7, 10, 12)
"""Only asked for, waiting for time to pass, closed, listening: no data flows then (tcp_states.h)."""
_HELD = 0xFFFFFFFE & ~sum(1 << state for state in _IDLE)
_HEADER = struct.Struct("=IHHII")
_REQUEST_BODY = struct.Struct("=BBBBI48s")
_ANSWER = struct.Struct("=BBBB48sIIIII")
_ATTRIBUTE = struct.Struct("=HH")


class HeldSocket(NamedTuple):
    """One socket over which data can flow."""

    family: int
    protocol: int
    uid: int
    inode: int
    cgroup: int
    identity: bytes
    """Ports, addresses, interface and cookie: names exactly this socket."""

    def __str__(self) -> str:
        """Return ``tcp 10.0.0.1:4000 -> 10.0.0.2:443``."""
        width = 4 if self.family == socket.AF_INET else 16
        source, target = struct.unpack_from(">HH", self.identity)
        near = socket.inet_ntop(self.family, self.identity[4 : 4 + width])
        far = socket.inet_ntop(self.family, self.identity[20 : 20 + width])
        name = "tcp" if self.protocol == socket.IPPROTO_TCP else "udp"
        return f"{name} {near}:{source} -> {far}:{target}"


def held() -> list[HeldSocket]:
    """List every such socket, IPv4 and IPv6, TCP and connected UDP, of this network namespace."""
    found: list[HeldSocket] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(5)
        for family in (socket.AF_INET, socket.AF_INET6):
            for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
                states = _HELD if protocol == socket.IPPROTO_TCP else 1 << _ESTABLISHED
                _ask(
                    netlink, _BY_FAMILY, _DUMP, _REQUEST_BODY.pack(family, protocol, 0, 0, states, bytes(48))
                )
                found.extend(_parse(body, protocol) for body in _answers(netlink))
    return found


def destroy(target: HeldSocket) -> int:
    """Destroy one socket; return 0 or the kernel's errno. The holder gets ECONNABORTED."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(5)
        body = _REQUEST_BODY.pack(target.family, target.protocol, 0, 0, 0xFFFFFFFF, target.identity)
        _ask(netlink, _DESTROY, _ACK, body)
        data = netlink.recv(65536)
    kind = _HEADER.unpack_from(data)[1]
    return -int(struct.unpack_from("=i", data, _HEADER.size)[0]) if kind == _ERROR else 0


def _ask(netlink: socket.socket, kind: int, flags: int, body: bytes) -> None:
    netlink.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)


def _answers(netlink: socket.socket) -> Iterator[bytes]:
    while True:
        data = netlink.recv(1 << 18)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -int(struct.unpack_from("=i", data, at + _HEADER.size)[0])
                if number in (errno.ENOENT, errno.EINVAL):
                    return  # no such family or protocol in this kernel: it has no such sockets
                raise OSError(number, "sock_diag refused to list sockets")
            yield data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3


def _parse(body: bytes, protocol: int) -> HeldSocket:
    family, _, _, _, identity, _, _, _, uid, inode = _ANSWER.unpack_from(body)
    cgroup, at = 0, _ANSWER.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == _CGROUP_ID:
            cgroup = struct.unpack_from("=Q", body, at + _ATTRIBUTE.size)[0]
        at += (length + 3) & ~3
    return HeldSocket(family, protocol, uid, inode, cgroup, identity)
