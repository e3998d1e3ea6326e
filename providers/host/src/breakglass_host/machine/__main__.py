"""Builds the tree of the machines, or starts one machine for a person to look at."""

from __future__ import annotations

import argparse
import time

from breakglass_host import machine_tree
from breakglass_host.machine import start
from breakglass_host.machine_tree import Recipe


def main() -> None:
    """Build the tree, and start one machine for a person to look at."""
    parser = argparse.ArgumentParser(prog="python -m breakglass_host.machine", description=__doc__)
    parser.add_argument("--build", action="store_true", help="only build the file tree")
    begun = time.monotonic()
    if parser.parse_args().build:
        tree = machine_tree.ensure(Recipe(), machine_tree.cache_folder(), print)
        print(f"{tree}: there after {time.monotonic() - begun:.1f} s")  # noqa: T201 - a program of its own
        return
    machine = start(say=print)
    try:
        print(f"up after {time.monotonic() - begun:.1f} s: ssh -F {machine.ssh_config} {machine.name}")  # noqa: T201 - a program of its own
        input("Enter ends it. ")
    finally:
        machine.stop()


if __name__ == "__main__":
    main()
