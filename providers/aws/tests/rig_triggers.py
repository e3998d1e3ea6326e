"""What the tests of triggers share: the agent's function, and reading without moments of change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.model.resource import Resource
from breakglass.provider import Action
from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import function, role

NAME = "bot"
ROLE = "bot-role"
_MOVES = frozenset({"LastModified", "LastModifiedTime", "LastModificationDate", "ResponseMetadata"})


def agent_function(rig: Rig, **more: Any) -> str:  # noqa: ANN401 - what boto3 takes
    """Make the agent's function with its role; return the function's ARN."""
    arn = role(rig, ROLE, "lambda.amazonaws.com")
    if not more:
        return function(rig, NAME, arn)
    made = rig.boto("lambda").create_function(
        FunctionName=NAME, Role=arn, Code={"ZipFile": b"x"}, Runtime="python3.12", Handler="f.h", **more
    )
    return str(made["FunctionArn"])


def still(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer but for its moments of change."""
    return {key: value for key, value in answer.items() if key not in _MOVES}


def verdict(action: Action, target: Resource) -> str:
    """Return the verdict of this moment."""
    return action.judge(target, action.observe(target)).verdict.value


def at_once(rig: Rig) -> None:
    """Let changes of state take no time."""
    rig.sandbox.control("platform", {"transition_s": 0, "on": False})
