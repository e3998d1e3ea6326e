"""Reads the tables: which resources an operation names, as templates over its parameters.

A template stands for an ARN of the service (``function:{FunctionName}``), or is a whole one (``arn:...``),
or ``*``. ``{A}`` is a parameter, ``{A.B}`` one inside of another, ``{A|B}`` the first that is there,
``{A=x}`` one with a default, ``{A:how}`` changed by one of `CHANGES`. A list gives several ARNs. A value that
is an ARN already stands for the whole.

Source of all tables: Service Authorization Reference, "Actions, resources, and condition keys for ...",
per service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_aws.sandbox.call import Call

HOLE = re.compile(r"\{([^}]+)\}")
ANYTHING = "*"


class NoRule(Exception):
    """An operation whose resource nobody has written down; the sandbox must not guess it."""


@dataclass(frozen=True, slots=True)
class Table:
    """How one service's operations are authorised."""

    prefix: str
    """IAM's: ``states`` of botocore's ``stepfunctions``."""
    resources: Mapping[str, str]
    """Template -> the operations (by blanks) that name it; an operation may stand under several."""
    actions: Mapping[str, str] = field(default_factory=dict)
    """Operation -> IAM actions where it is not the operation's own name."""
    partition: str = "{region}:{account}"
    """Region and account of the ARNs: ``:{account}`` of IAM, ``:`` of S3."""
    changes: Mapping[str, Callable[[str, Call], str]] = field(default_factory=dict)

    def arns(self, call: Call) -> tuple[str, ...]:
        """Return the ARNs of a call's resources. Raises NoRule: the operation is not in the table."""
        templates = [one for one, names in self.resources.items() if call.operation in names.split()]
        if not templates:
            raise NoRule(
                f"no resource rule for {call.service} {call.operation}: add one to the sandbox's tables"
            )
        found = tuple(dict.fromkeys(arn for one in templates for arn in self._expand(one, call)))
        if not found:
            raise NoRule(f"{call.service} {call.operation} names no resource in {sorted(call.params)}")
        return found

    def names(self, call: Call) -> tuple[str, ...]:
        """Return the IAM actions of a call."""
        return tuple(
            f"{self.prefix}:{one}" for one in self.actions.get(call.operation, call.operation).split()
        )

    def _expand(self, template: str, call: Call) -> list[str]:
        if template == ANYTHING:
            return [ANYTHING]
        texts = [template]
        for hole in HOLE.findall(template):
            values = self._values(hole, call)
            texts = [
                value if value.startswith("arn:") else text.replace("{" + hole + "}", value)
                for text in texts
                for value in values
            ]
        where = self.partition.format(region=call.region, account=call.account)
        return [
            text if text.startswith(("arn:", "*")) else f"arn:aws:{self.prefix}:{where}:{text}"
            for text in texts
        ]

    def _values(self, hole: str, call: Call) -> list[str]:
        names, _, change = hole.partition(":")
        names, _, default = names.partition("=")
        if names in ("region", "account"):
            return [str(getattr(call, names))]
        every = (flat(call.params, name.split(".")) for name in names.split("|"))
        found = next((values for values in every if values), [])
        if not found and "=" in hole:
            found = [default]
        changes = {**CHANGES, **self.changes}
        return [changes[change](one, call) if change else one for one in dict.fromkeys(found)]


def flat(params: Any, path: list[str]) -> list[str]:  # noqa: ANN401 - parameters as botocore parses them
    """Return the texts at a path of parameters, through lists."""
    if isinstance(params, (list, tuple)):
        return [text for one in params for text in flat(one, path)]
    if not path:
        return [str(params)] if params not in (None, "") else []
    return flat(params.get(path[0]), path[1:]) if isinstance(params, Mapping) else []


CHANGES: Mapping[str, Callable[[str, Call], str]] = {
    "name": lambda value, _: value.rstrip("/").rpartition("/")[2],
    "bare": lambda value, _: value.removeprefix("/"),
}
