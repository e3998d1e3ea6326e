"""Says that breakglass itself failed: one line, and a file with the traceback, never with local variables."""

from __future__ import annotations

import os
import tempfile
import traceback

from breakglass.cli.session import session
from breakglass.report.typeset import Tone, rows


def tell(error: BaseException) -> None:
    """Write the traceback to a private file and name it."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="breakglass-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        where = f"traceback: {path}"
    except OSError as refusal:
        where = f"the traceback could not be written ({refusal.strerror})"
    what = f"a bug of breakglass: {type(error).__name__}; {where}"
    session().say(
        *rows(what, rest="  ", tone=Tone.BAD),
        *rows("what a run recorded before this stands: breakglass status", first="  "),
    )
