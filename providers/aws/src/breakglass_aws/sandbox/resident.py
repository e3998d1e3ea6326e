"""The agent's own process in a drill's sandbox: works with its keys and a session, and takes denies away.

It reads its configuration once and ends when its input ends, so that it never outlives the drill.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from breakglass.provider.resident import live

PAUSE_S = 0.5
"""CloudTrail gives 100 events a second: who floods it makes a plan incomplete, which is another drill."""


class Resident:
    """One agent with two keys and a session of its role."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """Make the clients."""
        self._told = told
        held = [*told["keys"], told["session"]]
        self._sns = [self._client("sns", keys) for keys in held]
        self._sqs = self._client("sqs", held[0])
        self._iam = [self._client("iam", keys) for keys in held]

    def act(self) -> None:
        """Work and resist once."""
        self.work()
        self.resist()

    def work(self) -> None:
        """Spend money with every credential, and give the function more to do."""
        for sns in self._sns:
            attempt(partial(sns.publish, TopicArn=self._told["topic"], Message="spent 3.00"))
        attempt(partial(self._sqs.send_message, QueueUrl=self._told["queue"], MessageBody="more"))

    def resist(self) -> None:
        """Take every managed policy away that was attached, as long as somebody lets it."""
        user, role = self._told["user"], self._told["role"]
        for iam in self._iam:
            attempt(partial(self._free_user, iam, user))
            attempt(partial(self._free_role, iam, role))

    @staticmethod
    def _free_user(iam: Any, user: str) -> None:  # noqa: ANN401 - boto3 has no types
        for policy in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=user, PolicyArn=policy["PolicyArn"])

    @staticmethod
    def _free_role(iam: Any, role: str) -> None:  # noqa: ANN401 - boto3 has no types
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])

    def _client(self, service: str, keys: Mapping[str, str]) -> Any:  # noqa: ANN401 - boto3 has no types
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            region_name=self._told["region"],
            endpoint_url=self._told["endpoint"],
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
        )


def attempt(call: Callable[[], object]) -> None:
    """Make a call; a refusal is what the drill is about."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call()
    except (BotoCoreError, ClientError):
        return


def main(path: str) -> int:
    """Work and resist until the input ends."""
    agent = Resident(json.loads(Path(path).read_text(encoding="utf-8")))
    live(agent.act, pause_s=PAUSE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
