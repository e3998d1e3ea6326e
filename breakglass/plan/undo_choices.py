"""What a step says of its own undo in its target's params, and what the operator chose of it.

A provider that must not undo at once says so when the stop is planned, so that people sign it:

    undo_wait_s      how long the undo may have to wait beyond its deadline
    stopped_at_ms    0; the restore's plan has when the last change of the stop was accepted (Unix ms)
    NAME             what is done unless somebody chooses, where NAME_choices lists what can be chosen
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from breakglass.canon import Json
from breakglass.errors import UsageError
from breakglass.journal.history import StepHistory
from breakglass.model.plan import Step

WAIT_S = "undo_wait_s"
STOPPED_AT = "stopped_at_ms"
_LISTED = "_choices"


def undo_wait_ms(step: Step) -> int:
    """Return how long the undo of a step may have to wait, beyond its deadline."""
    value = step.target.params.get(WAIT_S)
    return value * 1000 if isinstance(value, int) and value > 0 else 0


def parse_choices(words: Sequence[str]) -> dict[str, str]:
    """Return what was chosen as NAME=VALUE, each name once.

    Raises:
        UsageError: it is not that.
    """
    chosen: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name or not value or name in chosen:
            raise UsageError(f"{word!r} is not NAME=VALUE, each name once", where="--choose")
        chosen[name] = value
    return chosen


def with_choices(step: Step, history: StepHistory | None, chosen: Mapping[str, str]) -> Step:
    """Return a step of a restore whose params carry what was chosen, and when the stop changed it last."""
    params = dict(step.target.params)
    if STOPPED_AT in params:
        params[STOPPED_AT] = _last_change_ms(history)
    params |= {name: value for name, value in chosen.items() if value in _offered(step, name)}
    return replace(step, target=replace(step.target, params=params))


def check_choices(steps: Iterable[Step], chosen: Mapping[str, str]) -> None:
    """Look whether each choice is one that some step offers.

    Raises:
        UsageError: none does; the remedy lists what can be chosen.
    """
    known = list(steps)
    for name, value in chosen.items():
        if not any(value in _offered(step, name) for step in known):
            offers = sorted(
                {
                    f"{key.removesuffix(_LISTED)}={one}"
                    for step in known
                    for key in step.target.params
                    if key.endswith(_LISTED)
                    for one in _offered(step, key.removesuffix(_LISTED))
                }
            )
            raise UsageError(
                f"no step of this restore lets you choose {name}={value}",
                where="--choose",
                remedy=f"it is one of {', '.join(offers)}" if offers else "leave --choose out",
            )


def _offered(step: Step, name: str) -> tuple[str, ...]:
    offered: Json = step.target.params.get(f"{name}{_LISTED}")
    return tuple(one for one in offered if isinstance(one, str)) if isinstance(offered, list) else ()


def _last_change_ms(history: StepHistory | None) -> int:
    """Return when the last change was accepted, or at the latest: unknown counts as when it was read."""
    if history is None:
        return 0
    moments = [one for one in (history.accepted, history.read_back, history.proven) if one is not None]
    return max((one.at.epoch_ms for one in moments), default=0)
