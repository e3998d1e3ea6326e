"""Lists what the sandbox adds to moto; each module exposes some of HANDLERS, GUARDS, RESETS and STATES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox import bucket_additions, cloudtrail_additions
from breakglass_aws.sandbox.call import Guard, Handler

HANDLERS: Mapping[tuple[str, str], Handler] = {
    **cloudtrail_additions.HANDLERS,
}
"""(service, operation) -> who answers in place of moto."""
GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {
    **bucket_additions.GUARDS,
}
"""(service, operation) -> who looks before moto answers."""
RESETS: tuple[Callable[[], None], ...] = (*cloudtrail_additions.RESETS,)
"""Forget everything, with moto's own reset."""
STATES: Mapping[str, Callable[[], Any]] = {}
"""Name -> JSON of state that moto does not hold, for comparing before and after."""
CONTROLS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    **cloudtrail_additions.CONTROLS,
}
"""Verb of the control address -> who answers it, beside the front's own."""

SETTINGS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {}
"""Key of the control verb `settings` -> who takes it, out of all that was sent."""
