"""Runs functions of a test in a process that has mounts of its own: what they mount, nobody else sees."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

_CLONE_NEWNS = 0x00020000
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class OwnMounts:
    """One process in a mount namespace of its own; it keeps nothing between two calls but the mounts."""

    pool: ProcessPoolExecutor

    def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function of a module there and return what it returns, or raise what it raises."""
        return self.pool.submit(function, *args, **kwargs).result(timeout=100)

    def sh(self, script: str, *, check: bool = True) -> str:
        """Run a script there and return what it printed."""
        return self.run(_sh, script, check)


@contextlib.contextmanager
def own_mounts(setup: str) -> Iterator[OwnMounts]:
    """Start the process, run `setup` in it by a shell, and end it after the block; its mounts end with it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_leave, initargs=(setup,)) as pool:
        pool.submit(os.getpid).result(timeout=60)  # starts it: a setup that fails is seen here
        yield OwnMounts(pool)


def _leave(setup: str) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _sh(f"set -e\nmount --make-rprivate /\n{setup}", check=True)


def _sh(script: str, check: bool) -> str:  # noqa: FBT001 - it crosses to another process by position
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=90,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")},
    )
    if check and done.returncode:
        raise AssertionError(f"{script[:200]}: exit {done.returncode}: {done.stdout[-1500:]}")
    return done.stdout
