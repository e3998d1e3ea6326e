"""Makes what the operator typed into the request of a stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from breakglass.cli.session import Session
from breakglass.errors import UsageError

if TYPE_CHECKING:
    from breakglass.model.plan import Detection
    from breakglass.usecases.prepare import StopRequest

NOT_STATED = "not stated"


def stop_request(  # noqa: PLR0913 - what was typed
    here: Session,
    agent: str,
    runbook: str,
    reason: str,
    *,
    alert: Path | None,
    times: tuple[str, str],
    person: str,
) -> StopRequest:
    """Return the request; `times` are when harm began and when it was noticed, as they were typed.

    Raises:
        UsageError: an alert and typed times were given, or the alert is about another agent.
        MalformedInput: a time or the alert does not parse.
    """
    from breakglass.usecases.alert import read_alert, stated
    from breakglass.usecases.prepare import StopRequest

    by = person or login_name(here)
    if alert is not None and any(times):
        raise UsageError("an alert says when; --alert and --detected-at, --started-at exclude each other")
    started_at, detected_at = times
    what = ""
    detection: Detection | None
    if alert is not None:
        detection, what = read_alert(alert, agent)
    else:
        detection = stated(detected_at or None, started_at or None, by)
    why = reason or what or NOT_STATED
    return StopRequest(agent, runbook, one_line(why), by, detection, here.clock.now())


def login_name(here: Session) -> str:
    """Return who seems to be at the keyboard: for the record, not a proof of anything."""
    import os
    import pwd

    try:
        own = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        own = f"uid {os.getuid()}"
    return one_line(here.environ.get("SUDO_USER") or own)


def one_line(text: str) -> str:
    """Return the text as one line of visible characters, as a signed plan demands.

    Raises:
        UsageError: it holds characters that a reader could not see.
    """
    from breakglass.canon import unreadable

    joined = " ".join(text.split())[:2000]
    if (found := unreadable(joined)) is not None:
        raise UsageError(f"character {found} may not stand in text that people read")
    return joined
