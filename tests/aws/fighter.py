"""An agent that fights back: in an order of its own it undoes the stop and makes ways around it."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from breakglass_aws.sandbox.process import ACCOUNT
from tests.aws.cloud_fleet import MAY_ALL, Cloud, Keys

QUARANTINE = "breakglass-quarantine"
MOST_HELD = 8
OWN = ("detach", "uninline", "unbound", "activate", "new_key", "retrust", "assume", "work")
"""What it does to what is its own already."""
TRIGGERS = ("enable_mapping", "enable_rule")
WIDE = ("new_role", "new_role_for_all", "new_user")
"""What gives it identities that no plan knows."""


class Fighter:
    """One agent with the keys of a user and a session of a role, on a thread."""

    def __init__(  # noqa: PLR0913 - what it is and what it does
        self,
        cloud: Cloud,
        keys: Keys,
        session: Keys | None,
        *,
        seed: int,
        does: Sequence[str],
        user: str = "rogue",
        role: str = "rogue-role",
        mapping: str = "",
        rule: str = "",
    ) -> None:
        """Hold its first credentials; do nothing yet."""
        self._cloud = cloud
        self._rng = random.Random(seed)
        self._does = does
        self._user, self._role, self._mapping, self._rule = user, role, mapping, rule
        self.held: list[Keys] = [keys, *([session] if session else [])]
        """All that it ever had."""
        self._clients: dict[tuple[str, str], Any] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._fight, daemon=True)
        self._made = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join(20)

    def allowed_since(self, monotonic_us: int) -> list[str]:
        """Return what others than executor and administrator were let do after an instant."""
        ours = {self._cloud.executor["AccessKeyId"], "AKIAADMINADMINADMIN0"}
        return [
            f"{one['principal']} {one['operation']}"
            for one in self._cloud.calls()
            if one["access_key"] not in ours
            and one["allowed"]
            and not one["code"]
            and one["monotonic_us"] > monotonic_us
        ]

    def _fight(self) -> None:
        while not self._over.is_set():
            for deed in self._rng.sample(self._does, len(self._does)):
                if self._over.is_set():
                    return
                holder = self._rng.choice(self.held[:1] + self.held[-MOST_HELD:])
                getattr(self, f"_{deed}")(holder)

    def _client(self, service: str, keys: Keys) -> Any:  # noqa: ANN401 - boto3 has no types
        where = (service, keys["AccessKeyId"])
        if where not in self._clients:
            self._clients[where] = self._cloud.boto(service, keys, retries=1)
        return self._clients[where]

    def _try(self, call: Callable[[], object]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        with contextlib.suppress(BotoCoreError, ClientError):
            call()

    def _detach(self, keys: Keys) -> None:
        iam = self._client("iam", keys)

        def free_user() -> None:
            for one in iam.list_attached_user_policies(UserName=self._user)["AttachedPolicies"]:
                iam.detach_user_policy(UserName=self._user, PolicyArn=one["PolicyArn"])

        def free_role() -> None:
            for one in iam.list_attached_role_policies(RoleName=self._role)["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=self._role, PolicyArn=one["PolicyArn"])

        self._try(free_user)
        self._try(free_role)

    def _uninline(self, keys: Keys) -> None:
        iam = self._client("iam", keys)
        self._try(lambda: iam.delete_user_policy(UserName=self._user, PolicyName=QUARANTINE))
        self._try(lambda: iam.delete_role_policy(RoleName=self._role, PolicyName=QUARANTINE))

    def _unbound(self, keys: Keys) -> None:
        iam = self._client("iam", keys)
        self._try(lambda: iam.delete_user_permissions_boundary(UserName=self._user))
        self._try(lambda: iam.delete_role_permissions_boundary(RoleName=self._role))

    def _activate(self, keys: Keys) -> None:
        iam = self._client("iam", keys)

        def all_of_them() -> None:
            for one in iam.list_access_keys(UserName=self._user)["AccessKeyMetadata"]:
                if one["Status"] != "Active":
                    iam.update_access_key(
                        UserName=self._user, AccessKeyId=one["AccessKeyId"], Status="Active"
                    )

        self._try(all_of_them)

    def _new_key(self, keys: Keys) -> None:
        iam = self._client("iam", keys)

        def make() -> None:
            known = iam.list_access_keys(UserName=self._user)["AccessKeyMetadata"]
            dead = [one["AccessKeyId"] for one in known if one["Status"] != "Active"]
            if len(known) > 1 and dead:
                iam.delete_access_key(UserName=self._user, AccessKeyId=dead[0])
            self.held.append(iam.create_access_key(UserName=self._user)["AccessKey"])

        self._try(make)

    def _retrust(self, keys: Keys) -> None:
        iam = self._client("iam", keys)
        document = _trust(f"arn:aws:iam::{ACCOUNT}:user/{self._user}")
        self._try(lambda: iam.update_assume_role_policy(RoleName=self._role, PolicyDocument=document))

    def _assume(self, keys: Keys) -> None:
        self._try(lambda: self._take(keys, self._role))

    def _new_role(self, keys: Keys) -> None:
        self._make_role(keys, _trust(f"arn:aws:iam::{ACCOUNT}:user/{self._user}"))

    def _new_role_for_all(self, keys: Keys) -> None:
        self._make_role(keys, _trust(f"arn:aws:iam::{ACCOUNT}:root"))

    def _make_role(self, keys: Keys, trust: str) -> None:
        iam = self._client("iam", keys)
        self._made += 1
        name = f"handy-{self._made}"

        def make() -> None:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=MAY_ALL)

        self._try(make)
        self._try(lambda: self._take(keys, name))

    def _new_user(self, keys: Keys) -> None:
        iam = self._client("iam", keys)
        self._made += 1
        name = f"friend-{self._made}"

        def make() -> None:
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=MAY_ALL)
            self.held.append(iam.create_access_key(UserName=name)["AccessKey"])

        self._try(make)

    def _enable_mapping(self, keys: Keys) -> None:
        functions = self._client("lambda", keys)
        self._try(lambda: functions.update_event_source_mapping(UUID=self._mapping, Enabled=True))

    def _enable_rule(self, keys: Keys) -> None:
        events = self._client("events", keys)
        self._try(lambda: events.enable_rule(Name=self._rule))

    def _work(self, keys: Keys) -> None:
        sqs = self._client("sqs", keys)
        self._try(lambda: sqs.list_queues(MaxResults=1))

    def _take(self, keys: Keys, role: str) -> None:
        sts = self._client("sts", keys)
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        self.held.append(sts.assume_role(RoleArn=arn, RoleSessionName=f"s{len(self.held)}")["Credentials"])


def _trust(arn: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
