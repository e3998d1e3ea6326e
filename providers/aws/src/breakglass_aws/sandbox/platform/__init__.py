"""The platform: what makes resources of the sandbox run, and so the agent act.

`start` once, with the endpoint; `reset` with moto's own reset; `control` and `effects` answer the verbs of
these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass_aws.sandbox.platform import (
    flows,
    functions,
    lambda_in_moto,
    machines,
    network,
    rules,
    scaling,
    schedules,
    tasks,
)
from breakglass_aws.sandbox.platform.acting import ACTING
from breakglass_aws.sandbox.platform.calls import CALLER
from breakglass_aws.sandbox.platform.flows import FLOWS
from breakglass_aws.sandbox.platform.functions import RUNS
from breakglass_aws.sandbox.platform.machines import CHILDREN
from breakglass_aws.sandbox.platform.sessions import SESSIONS
from breakglass_aws.sandbox.platform.settings import SETTINGS
from breakglass_aws.sandbox.platform.ticker import TICKER

HANDLERS = {**machines.HANDLERS, **schedules.HANDLERS}
GUARDS = {**functions.GUARDS, **rules.GUARDS, **tasks.GUARDS, **flows.GUARDS}


def start(endpoint: str) -> None:
    """Correct moto and begin to tick; calls go to this endpoint."""
    CALLER.endpoint = endpoint
    for part in (lambda_in_moto, rules, tasks, scaling, network):
        part.correct()
    TICKER.start()


def reset() -> None:
    """Forget everything, between two ticks; nothing that was under way acts in what comes after."""
    with TICKER.paused():
        ACTING.settle()
        for part in (SETTINGS, RUNS, CHILDREN, FLOWS, SESSIONS, ACTING, CALLER, rules.DUES, schedules.DUES):
            part.forget()
        lambda_in_moto.CHANGED.clear()
        lambda_in_moto.without_docker()
        tasks.frozen()


def control(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Answer the verb `platform`: settings, and what no API of AWS can do.

    Ticks that are asked for are over when it answers: whatever they began has ended.
    """
    SETTINGS.told(body)
    answer: dict[str, Any] = {}
    if "open_flow" in body:
        answer["open_flow"] = FLOWS.open(body["open_flow"])
    if "call_url" in body:
        answer["call_url"] = functions.call_url(body["call_url"])
    if "managed_rule" in body:
        rules.make_managed(body["managed_rule"])
    if "ticks" in body:
        for _ in range(int(body["ticks"])):
            TICKER.tick()
            ACTING.settle()
    return {
        **answer,
        "on": SETTINGS.on,
        "ticks": TICKER.ticks,
        "flows": FLOWS.told(),
        "errors": ACTING.errors[-5:],
    }


def effects() -> list[dict[str, Any]]:
    """Answer the verb `effects` from the front's record."""
    from breakglass_aws.sandbox import record
    from breakglass_aws.sandbox.platform.counting import effects as counted

    return counted(record.calls())


CONTROLS = {"platform": control, "effects": lambda _: effects()}
