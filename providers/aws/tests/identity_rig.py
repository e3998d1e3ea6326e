"""What the tests of identities share: steps for what discovery would hand over, without a discovery."""

from __future__ import annotations

import json
from typing import Any

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass.provider import Action, Proposed
from breakglass_aws.account import Account
from breakglass_aws.actions import identities
from breakglass_aws.connect import AwsProvider
from breakglass_aws.found import Found
from providers.aws.tests.rig_aws import Rig

ROLE_ARN = "arn:aws:iam::123456789012:role/"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        ],
    }
)
NEUTRAL = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}'
)
FREE = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


def account_of(provider: AwsProvider) -> Account:
    """Return the account that a provider is connected to."""
    return provider._account  # noqa: SLF001 - a part is tested with what discovery would hand to it


def proposed(rig: Rig, found: Found, **settings: Json) -> Proposed:
    """Return what is proposed for the agent's identities."""
    return identities.propose(account_of(rig.provider(**settings)), found)


def planned(rig: Rig, action: str, found: Found, **settings: Json) -> tuple[Action, Resource]:
    """Return the one step of an action, with who runs it."""
    provider = rig.provider(**settings)
    steps = [one for one in identities.propose(account_of(provider), found).proposals if one.action == action]
    assert len(steps) == 1, f"{action}: {[one.key for one in steps]}"
    return provider.actions[action], steps[0].target


def managed(iam: Any, name: str, document: str = NEUTRAL) -> str:  # noqa: ANN401 - boto3 has no types
    """Make a managed policy."""
    return str(iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"])


def fill_slots(iam: Any, kind: str, name: str) -> None:  # noqa: ANN401 - boto3 has no types
    """Take all ten slots for managed policies of a role or user."""
    for n in range(10):
        who = {f"{kind.title()}Name": name}
        getattr(iam, f"attach_{kind}_policy")(**who, PolicyArn=managed(iam, f"{kind}{n}"))
