"""Sessions of roles that the platform hands to what it runs, and which channel each belongs to."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass_aws.sandbox.platform.service_access import keeps_out
from breakglass_aws.sandbox.platform.settings import SETTINGS

SERVICES = {
    "function": "lambda.amazonaws.com",
    "poller": "lambda.amazonaws.com",
    "execution": "states.amazonaws.com",
    "task": "ecs-tasks.amazonaws.com",
    "instance": "ec2.amazonaws.com",
    "schedule": "scheduler.amazonaws.com",
    "rule": "events.amazonaws.com",
}
"""Who assumes the role of what runs in a channel."""


@dataclass(frozen=True, slots=True)
class Session:
    """A role's credentials as one resource holds them."""

    role_arn: str
    keys: Mapping[str, str]
    expires: float


@dataclass(slots=True)
class Sessions:
    """Minted once for each resource and kept until they expire, as the platform's agents do.

    A role that is taken away from a resource does not end the session that the resource holds (IAM User
    Guide, "Revoke IAM role temporary security credentials").
    """

    _held: dict[tuple[str, str], Session] = field(default_factory=dict)
    _channels: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, channel: str, role_arn: str | None, name: str) -> Mapping[str, str] | None:
        """Return a resource's keys: what it holds, else new ones of its role; None: it has none."""
        with self._lock:
            held = self._held.get((channel, name))
            fresh = held is not None and held.expires > time.monotonic()
            if held is not None and fresh and role_arn in (None, held.role_arn):
                return held.keys
            if role_arn is None:
                return None
            keys = _minted(role_arn, name) if _trusted(role_arn, channel) else None
            if keys is None:
                return None
            self._held[channel, name] = Session(role_arn, keys, time.monotonic() + SETTINGS.session_s)
            self._channels[keys["AccessKeyId"]] = channel
            return keys

    def drop(self, channel: str, name: str) -> None:
        """Forget what a resource held: it has ended."""
        with self._lock:
            self._held.pop((channel, name), None)

    def channel_of(self, access_key: str) -> str | None:
        """Return whose key it is, if the platform handed it out."""
        return self._channels.get(access_key)

    def forget(self) -> None:
        """Know nobody."""
        with self._lock:
            self._held.clear()
            self._channels.clear()


def _trusted(role_arn: str, channel: str) -> bool:
    """Say whether a role's trust policy does not shut out the service that runs this channel.

    Only new sessions: those that are held live on (IAM User Guide, "Revoke IAM role temporary security
    credentials").
    """
    from moto.iam.models import iam_backends

    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    roles = iam_backends[account]["aws"].roles.values()
    policy = next((one.assume_role_policy_document for one in roles if one.name == name), None)
    service = SERVICES.get(channel.split("/", 1)[0], "")
    return not keeps_out(policy if isinstance(policy, str) else None, service, "sts:AssumeRole")


def _minted(role_arn: str, name: str) -> Mapping[str, str] | None:
    """Mint through the front's own registry; None where there is no such role."""
    from breakglass_aws.sandbox.call import Refusal
    from breakglass_aws.sandbox.minting import mint_session

    try:
        return dict(mint_session(role_arn, session_name(name)))
    except Refusal:
        return None


def session_name(name: str) -> str:
    """Return a name that STS takes (API reference, AssumeRole: RoleSessionName)."""
    kept = "".join(letter if letter.isalnum() or letter in "_+=,.@-" else "-" for letter in name)[:64]
    return kept if len(kept) > 1 else f"{kept}-session"


SESSIONS = Sessions()
