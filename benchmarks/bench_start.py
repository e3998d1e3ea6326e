"""Compares how long the program takes to start with what its own libraries take, in one run, interleaved.

Prints medians as ratios to `python -c "import typer"`, the one import that `--help` cannot do without.
The limit is `--help` <= 2.5.

usage: python benchmarks/bench_start.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 15
LIMIT = 2.5
PEER = "import typer"
CASES = {
    "pass": ["-c", "pass"],
    PEER: ["-c", "import typer"],
    "--help": ["-m", "breakglass", "--help"],
    "status": ["-m", "breakglass", "status"],
    "providers list": ["-m", "breakglass", "providers", "list"],
}


def once(arguments: list[str], environ: dict[str, str]) -> float:
    """Return the seconds that one fresh interpreter takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Run every case in turn, many times, and print the medians."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    took: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "BREAKGLASS_HOME": home}
        for name, arguments in CASES.items():
            once(arguments, environ)  # So that byte code and files are in the page cache for all of them.
            took[name].clear()
        for _ in range(runs):
            for name, arguments in CASES.items():
                took[name].append(once(arguments, environ))
    middle = {name: statistics.median(found) for name, found in took.items()}
    for name, seconds in middle.items():
        ratio = seconds / middle[PEER]
        print(f"{name:16} {seconds * 1000:7.0f} ms = {ratio:5.2f}   fastest {min(took[name]) * 1000:.0f} ms")
    ratio = middle["--help"] / middle[PEER]
    print(f"--help takes {ratio:.2f} times an import of typer; the limit is {LIMIT} ({runs} runs each)")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
