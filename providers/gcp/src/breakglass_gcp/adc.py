"""Finds the application default credentials, where Google's own libraries look for them.

google.auth.default alone does more: beside a file of gcloud's it runs `gcloud` for a project's name, and a
reach names its project; and it does not look whose addresses a file names. Where they lie: "How Application
Default Credentials works", Google Cloud authentication documentation.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from breakglass.errors import Denied

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
FIND_S = 6.0
"""The metadata server of a machine that has none costs 12 s: the search ends before."""
MAX_BYTES = 1 << 20
_NAME = "application_default_credentials.json"


def credentials_file() -> tuple[bytes, str] | None:
    """Return what the file holds that a variable or gcloud leaves, and where it lies; None: there is none.

    Raises:
        Denied: the variable names a file that cannot be read.
    """
    named = os.environ.get(VARIABLE, "")
    path = Path(named) if named else _folder() / _NAME
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES), str(path)
    except OSError as error:
        if not named:
            return None
        said = f"{VARIABLE} names a file that cannot be read ({type(error).__name__})"
        raise Denied(said, where=named[:200]) from error


def of_machine(scopes: tuple[str, ...]) -> Any:  # noqa: ANN401 - google-auth's credentials have no types here
    """Return credentials of this machine from its metadata server, within a deadline; None: it has none."""
    import google.auth
    from google.auth import compute_engine, exceptions  # noqa: F401 - first imports on this thread

    found: list[Any] = []

    def look() -> None:
        try:
            found.append(google.auth.default(scopes=scopes)[0])
        except (exceptions.GoogleAuthError, OSError, ValueError):
            return

    thread = threading.Thread(target=look, name="gcp-credentials", daemon=True)
    thread.start()
    thread.join(FIND_S)
    return found[0] if found else None


def _folder() -> Path:
    if given := os.environ.get("CLOUDSDK_CONFIG"):
        return Path(given)
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", "")) / "gcloud"
    return Path.home() / ".config" / "gcloud"
