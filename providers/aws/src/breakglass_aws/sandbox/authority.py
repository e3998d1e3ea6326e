"""What the front asks of the evaluator: one ruling a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.credentials import Identity

ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicit_deny", "implicit_deny"


@dataclass(frozen=True, slots=True)
class Ruling:
    """May this call be made, and if not, why not."""

    allowed: bool
    code_word: str
    action: str
    """IAM's name: ``sqs:SendMessage``; not always the operation's."""
    resource: str
    why: str
    """Where a refusal comes from, as IAM says it: ``with an explicit deny in an identity-based policy``."""


class Authority(Protocol):
    """Decides from policies alone; reads IAM as of `now_s` less the visibility delay."""

    def authorise(self, call: Call, identity: Identity, now_s: float) -> Ruling:
        """Rule on a call of somebody who is authenticated."""

    def may_assume(self, call: Call, identity: Identity | None, role_arn: str, now_s: float) -> Ruling:
        """Rule on AssumeRole and its kin: the trust policy and the caller's own. None: web identity."""
