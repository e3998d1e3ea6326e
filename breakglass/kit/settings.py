"""Reads ``breakglass.yaml``, the settings of a kit.

v: 1
org: example.com
version: 1                            # of the kit; raise it with every change that is signed anew
expires: 2026-03-31T00:00:00Z
drill: false                          # true: throwaway keys, sandboxes allowed, no real plan
two_person_rule: advisory             # or: enforced, where no person can use the executor's rights alone
two_person_reason: operators have sudo on the executor       # required where it is advisory
executors:                            # names of the roster; the first one starts a stop
  - {name: ops-bastion-1, log_key: /etc/breakglass/log.key}  # or log_key: ssh-agent
exchange: /srv/breakglass             # optional: a folder for requests
runbook: prompt-injection             # optional: of agents that name none
deadlines: {step_s: 60, stop_s: 900, sign_s: 1800}           # optional
mirrors:                              # optional: stores outside of the executor, for claims and journals
  - {provider: aws, account: "210987654321", region: eu-west-1, bucket: acme-breakglass, profile: executor}
"""

from __future__ import annotations

from pathlib import Path

from breakglass.kit.complaints import Complaints, quoted
from breakglass.kit.fields import Field, Kind, Values, read_table
from breakglass.kit.model import DEFAULT_RUNBOOK, Deadlines, ExecutorSetting, KitSettings
from breakglass.kit.nodes import Node
from breakglass.model.plan import TwoPersonRule
from breakglass.runbook.loader import NAME, NAME_MEANING

SETTINGS_FILE = "breakglass.yaml"
SSH_AGENT = "ssh-agent"
SHORT_NAME = r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,127}"
SHORT_NAME_MEANING = "a short ASCII name"
_DAY_S = 86_400
_SETTINGS = (
    Field("v", Kind.NUMBER, required=True, lowest=1, highest=1),
    Field("org", required=True, pattern=SHORT_NAME, meaning=SHORT_NAME_MEANING),
    Field("version", Kind.NUMBER, required=True, lowest=1),
    Field("expires", Kind.TIME, required=True),
    Field("drill", Kind.FLAG),
    Field("two_person_rule", required=True, one_of=tuple(TwoPersonRule)),
    Field("two_person_reason"),
    Field("executors", Kind.TABLES, required=True),
    Field("exchange"),
    Field("runbook", pattern=NAME, meaning=NAME_MEANING),
    Field("deadlines", Kind.TABLE),
    Field("mirrors", Kind.TABLES),
)
_EXECUTOR = (
    Field("name", required=True, pattern=SHORT_NAME, meaning=SHORT_NAME_MEANING),
    Field("log_key", required=True),
)
_DEFAULT = Deadlines()
_DEADLINES = (
    Field("step_s", Kind.NUMBER, lowest=1, highest=3600),
    Field("stop_s", Kind.NUMBER, lowest=1, highest=_DAY_S),
    Field("sign_s", Kind.NUMBER, lowest=1, highest=_DAY_S),
)


def read_settings(
    node: Node, executors: tuple[str, ...], complaints: Complaints
) -> tuple[KitSettings, Values]:
    """Read the settings, noting what is wrong; `executors` are the names that the roster knows."""
    values = read_table(node, _SETTINGS, SETTINGS_FILE, complaints)
    rule = TwoPersonRule(values.text("two_person_rule", TwoPersonRule.ADVISORY))
    if (
        values.has("two_person_rule")
        and rule is TwoPersonRule.ADVISORY
        and "two_person_reason" not in values.marks
    ):
        complaints.add(
            values.at("two_person_rule"),
            'two_person_rule: advisory needs a "two_person_reason": who could act alone, and how',
        )
    return KitSettings(
        org=values.text("org"),
        version=values.number("version"),
        expires=values.time("expires"),
        drill=values.flag("drill"),
        executors=_executors(values, executors, complaints),
        deadlines=_deadlines(values, complaints),
        exchange=_absolute(values, "exchange", complaints) if values.has("exchange") else None,
        two_person_rule=rule,
        two_person_reason=values.text("two_person_reason"),
        runbook=values.text("runbook", DEFAULT_RUNBOOK),
    ), values


def _executors(values: Values, known: tuple[str, ...], complaints: Complaints) -> tuple[ExecutorSetting, ...]:
    found: dict[str, ExecutorSetting] = {}
    for table in values.tables("executors"):
        entry = read_table(table, _EXECUTOR, "an executor", complaints)
        name = entry.text("name")
        if name and name in found:
            complaints.add(entry.at("name"), f"name: executor {quoted(name)} is listed twice")
        if name and known and name not in known:
            complaints.add_unknown(entry.at("name"), "name", name, known, "executors of the roster")
        in_agent = entry.text("log_key", SSH_AGENT) == SSH_AGENT
        key = None if in_agent else _absolute(entry, "log_key", complaints)
        found[name] = ExecutorSetting(name, key)
    if values.has("executors") and not found:
        complaints.add(values.at("executors"), "executors: at least one machine must be able to run a stop")
    return tuple(found.values())


def _absolute(values: Values, name: str, complaints: Complaints) -> Path:
    path = Path(values.text(name))
    if not path.is_absolute() or ".." in path.parts:
        hint = ", or ssh-agent" if name == "log_key" else ""
        complaints.add(values.at(name), f"{name}: {quoted(str(path))} is not an absolute path{hint}")
    return path


def _deadlines(values: Values, complaints: Complaints) -> Deadlines:
    if not values.has("deadlines"):
        return _DEFAULT
    found = read_table(values.table("deadlines"), _DEADLINES, "deadlines", complaints)
    deadlines = Deadlines(
        step_s=found.number("step_s", _DEFAULT.step_s),
        stop_s=found.number("stop_s", _DEFAULT.stop_s),
        sign_s=found.number("sign_s", _DEFAULT.sign_s),
    )
    if deadlines.step_s > deadlines.stop_s:
        complaints.add(
            found.mark, f"deadlines: step_s {deadlines.step_s} is longer than stop_s {deadlines.stop_s}"
        )
    return deadlines
