"""Makes namespaces that are whole: with what the controller manager puts into each one, a little later.

A namespace is there before its account ``default`` (serviceaccounts controller) and before its API server's
certificates (root-ca-cert-publisher). Who compares a cluster before and after must not begin in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from breakglass.errors import ProviderError
from breakglass_kubernetes.sandbox.api import ApiError

_NAMESPACES = "/api/v1/namespaces"
_MADE_BY_CONTROLLERS = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
_WHOLE_S = 60.0
_PAUSE_S = 0.05
_NOT_FOUND = 404

Call = Callable[..., Any]


def make(call: Call, name: str) -> None:
    """Make a namespace and wait until it is whole.

    Raises:
        ApiError: the API server refused it.
        ProviderError: the controller manager does not put its own into it in time.
    """
    call("POST", _NAMESPACES, {"metadata": {"name": name}})
    until = time.monotonic() + _WHOLE_S
    for part in _MADE_BY_CONTROLLERS:
        while not _there(call, f"{_NAMESPACES}/{name}/{part}"):
            if time.monotonic() > until:
                raise ProviderError(f"namespace {name} has no {part} after {_WHOLE_S:.0f} s")
            time.sleep(_PAUSE_S)


def _there(call: Call, path: str) -> bool:
    try:
        call("GET", path)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        return False
    return True
