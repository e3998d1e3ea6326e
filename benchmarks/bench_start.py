"""Measures how long small questions take to answer, as ratios to `python -c "import typer"` in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15
HIGHEST_RATIO_OF_HELP = 2.5
BREAKGLASS = [sys.executable, "-m", "breakglass"]
CASES = {
    "import typer": [sys.executable, "-c", "import typer"],
    "breakglass --help": [*BREAKGLASS, "--help"],
    "breakglass status": [*BREAKGLASS, "status"],
    "breakglass providers list": [*BREAKGLASS, "providers", "list"],
    "breakglass stop --help": [*BREAKGLASS, "stop", "--help"],
}


def seconds(command: list[str], home: str) -> float:
    """Return how long one fresh process takes."""
    environ = {"PATH": os.environ["PATH"], "HOME": home}
    started = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> int:
    """Take turns, so that a busy machine is unfair to nobody; 1 when --help is too slow."""
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as home:
        for turn in range(ROUNDS + 1):
            for name, command in CASES.items():
                found = seconds(command, home)
                if turn:  # the first turn writes bytecode
                    taken[name].append(found)
    base = statistics.median(taken["import typer"])
    for name, values in taken.items():
        median = statistics.median(values)
        print(f"{name:28} {median * 1000:7.1f} ms   {median / base:5.2f} x import typer")
    return int(statistics.median(taken["breakglass --help"]) > HIGHEST_RATIO_OF_HELP * base)


if __name__ == "__main__":
    sys.exit(main())
