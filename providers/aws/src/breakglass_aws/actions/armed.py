"""What the three class switches share: the principals that a plan denies anyway, and their proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.model.action import Judgement, Verdict
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposed
from breakglass_aws.account import Account
from breakglass_aws.probe import judge_principal


@dataclass(frozen=True, slots=True)
class Denied:
    """One principal that the plan denies everything."""

    short: str
    arn: str
    unique_id: str
    key: str
    """Of the proposal that does it."""


def judge_all(account: Account, arns: Sequence[str]) -> Judgement:
    """Ask the evaluator about each principal: the class is denied when all are.

    Raises:
        ProviderError: it does not answer.
    """
    said: Judgement | None = None
    for arn in arns:
        said = judge_principal(account, arn)
        if said.verdict is not Verdict.CONTAINED:
            return said
    if said is None:
        return Judgement(Verdict.UNKNOWN, "the class has no principal of the agent's")
    return Judgement(said.verdict, f"IAM's evaluator: all {len(arns)} principals are denied", said.grade)


def texts(value: Json) -> list[str]:
    """Return a list of texts that a signed plan or a state holds."""
    return [str(item) for item in value] if isinstance(value, list) else []


def left_alone(switch: str, reason: str) -> Proposed:
    """Return that an armed class switch is not used, and why."""
    return Proposed(not_touched=(NotTouched(switch, reason),))


def arns(denied: Mapping[str, Denied]) -> list[Json]:
    """Return the principals' ARNs for a plan."""
    return [one.arn for one in denied.values()]
