"""Makes the executor of a test a real IAM user with exactly the rights that the provider prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from breakglass.canon import Json
from breakglass.model.resource import Reach
from breakglass_aws.permissions import documents, split
from providers.aws.tests.rig_aws import EXECUTOR, Rig

NAME = "breakglass-executor"


def give(
    rig: Rig,
    purposes: Sequence[str] = ("stop", "restore"),
    name: str = NAME,
    settings: Mapping[str, Json] | None = None,
) -> None:
    """Make the user, with one managed policy for each piece, and let the rig's providers use its key.

    `settings` are those of the reach that the rights are printed for, where it says more than the usual.
    """
    reaches = [Reach("aws", settings, "test")] if settings else []
    iam = rig.boto("iam")
    iam.create_user(UserName=name)
    pieces = [piece for purpose in purposes for piece in split(documents(purpose, reaches)[0])]
    for n, piece in enumerate(pieces):
        made = iam.create_policy(PolicyName=f"{name}-{n}", PolicyDocument=json.dumps(piece))
        iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
    rig.secrets.keep(EXECUTOR, iam.create_access_key(UserName=name)["AccessKey"])
