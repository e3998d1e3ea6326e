"""Makes docs/drill.svg, the README's picture, from a real drill: `make picture`.

The drill runs in tmux, a real terminal whose last screen is read back with its colours; Rich draws it.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH, HEIGHT = 92, 400


def tmux(socket: Path, *arguments: str) -> str:
    """Talk to a tmux server of our own."""
    command = ["tmux", "-S", str(socket), "-f", "/dev/null", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def record(command: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Run `command` in a terminal; return its exit code and its last screen with colours."""
    with tempfile.TemporaryDirectory(prefix="breakglass-picture-") as folder:
        socket, code = Path(folder) / "tmux", Path(folder) / "code"
        line = f"{shlex.join(command)}; echo $? >{shlex.quote(str(code))}.new; mv {code}.new {code}; sleep 60"
        size = ("-x", str(WIDTH), "-y", str(HEIGHT))
        # A home of its own: the picture names no folder of whoever makes it, and leaves none there.
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        own = (f"HOME={folder}", f"XDG_CACHE_HOME={cache}")
        environ = ("TERM=screen-256color", "COLORTERM=", "LANG=C.UTF-8", *own)
        tmux(
            socket,
            "new-session",
            "-d",
            *size,
            "env",
            "-u",
            "XDG_STATE_HOME",
            "-u",
            "BREAKGLASS_HOME",
            *environ,
            "sh",
            "-c",
            line,
        )
        try:
            deadline = time.monotonic() + timeout_s
            while not code.exists():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{shlex.join(command)} did not end within {timeout_s:.0f} s")
                time.sleep(0.2)
            return int(code.read_text()), tmux(socket, "capture-pane", "-e", "-p")
        finally:
            tmux(socket, "kill-server")


def draw(screen: str, title: str) -> str:
    """Return the screen as SVG; it names no font on another server."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in screen.rstrip().split("\n"):
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    return re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Draw the drill, or the command that is given; exit with the command's code if it failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "drill.svg")
    parser.add_argument("--title", default="make drill")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args(arguments)
    if shutil.which("tmux") is None:
        print("tmux is needed to record a terminal; Debian, Ubuntu: apt-get install tmux", file=sys.stderr)
        return 69
    breakglass = str(Path(sys.executable).parent / "breakglass")
    code, screen = record(options.command or [breakglass, "drill", "run", "--sandbox"], timeout_s=300)
    if code:
        print(
            screen.rstrip(),
            f"the drill ended with exit {code}; no picture was made",
            sep="\n",
            file=sys.stderr,
        )
        return code
    options.output.write_text(draw(screen, options.title), encoding="utf-8")
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
