"""The keys of an AWS reach: parsed once, and refused with words where they cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from breakglass.canon import Json

AWS_DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-\d{1,2}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]{1,576}", re.ASCII)
_POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]{1,640}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1000}")
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|::1")
_ADDRESSES = frozenset({"endpoint"})


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """One AWS reach, read from the inventory or from a signed plan."""

    account: str
    region: str
    values: Mapping[str, Json]

    @classmethod
    def of(cls, settings: Mapping[str, Json]) -> AwsSettings:
        """Take an entry that `complaints` found good."""
        return cls(str(settings.get("account", "")), str(settings.get("region", "")), dict(settings))

    def text(self, key: str) -> str:
        """Return a text; empty where it is absent."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list, each entry once, in the order of the inventory."""
        value = self.values.get(key)
        items = value if isinstance(value, list) else []
        return tuple(dict.fromkeys(item for item in items if isinstance(item, str)))

    def mapping(self, key: str) -> Mapping[str, str]:
        """Return a mapping; empty where it is absent."""
        value = self.values.get(key)
        return {name: str(item) for name, item in value.items()} if isinstance(value, Mapping) else {}

    def flag(self, key: str) -> bool:
        """Return whether a flag is set."""
        return self.values.get(key) is True

    @property
    def partition(self) -> str:
        """Return the partition that the region belongs to (AWS General Reference, ARNs)."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def quarantine_policy(self) -> str:
        """Return the ARN of the managed policy that denies all."""
        return self.text("quarantine_policy") or AWS_DENY_ALL.replace("arn:aws:", f"arn:{self.partition}:")

    @property
    def settle_factor(self) -> float:
        """Return what settle times are multiplied with: 1 but in a drill that says otherwise."""
        return float(self.text("settle_factor") or 1)


_BY_NAME = (
    "auto_scaling_groups",
    "buckets",
    "functions",
    "instances",
    "log_groups",
    "pipes",
    "queues",
    "roles",
    "rules",
    "schedules",
    "services",
    "state_machines",
    "streams",
    "topics",
    "users",
)
"""Lists of names: an ARN there would be looked up as a name, and found to be nothing of the agent's."""


def complaints(settings: Mapping[str, Json]) -> Sequence[str]:
    """Return everything that is wrong with an entry, each in words."""
    entry = AwsSettings.of(settings)
    found: list[str] = []
    if _ACCOUNT.fullmatch(entry.account) is None:
        found.append("account is not 12 digits")
    if _REGION.fullmatch(entry.region) is None:
        found.append("region is not a region like eu-west-1")
    found += _odd_texts(settings)
    if (arn := entry.text("as")) and _ROLE_ARN.fullmatch(arn) is None:
        found.append("as is not the ARN of a role")
    for key in ("quarantine_policy", "class_policy"):
        if (arn := entry.text(key)) and _POLICY_ARN.fullmatch(arn) is None:
            found.append(f"{key} is not the ARN of a managed policy")
    if entry.text("profile") and entry.text("credential"):
        found.append("profile and credential: name one of them")
    own = entry.text("as").partition(":role/")[2]
    if own and own.rpartition("/")[2] in {name.rpartition("/")[2] for name in entry.texts("roles")}:
        found.append("as is a role of the agent's: the stop must not depend on the agent's credential")
    found += _wrong_forms(entry)
    found += _wrong_sandbox(entry)
    return found


def _odd_texts(settings: Mapping[str, Json]) -> list[str]:
    """Return what holds anything but visible ASCII: no name of AWS does."""
    return [
        f"{key}: {item[:200]!r} is empty or has characters that no name of AWS has"
        for key, value in settings.items()
        if key not in {"account", "region"}
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, str) and _VISIBLE.fullmatch(item) is None
    ]


def _wrong_forms(entry: AwsSettings) -> list[str]:
    """Return the entries of lists that lack the parts that they need."""
    forms = {
        "role_sessions": "/",
        "services": "/",
        "task_families": "/",
        "bedrock_agents": "/",
        "pod_identities": "/",
        "runtime_sessions": "#",
        "permission_sets": "#",
    }
    found = [
        f"{key}: {item!r} lacks the part after {mark}"
        for key, mark in forms.items()
        for item in entry.texts(key)
        if not all(item.partition(mark))
    ]
    found += [
        f"{key}: {item[:200]!r} is an ARN or a URL: give the name"
        for key in _BY_NAME
        for item in entry.texts(key)
        if item.startswith("arn:") or "://" in item
    ]
    kinds = ("codepipeline", "cloudformation", "codedeploy")
    shown = ", ".join(f"{kind}:NAME" for kind in kinds)
    found += [
        f"deployers: {item!r} is none of {shown}"
        for item in entry.texts("deployers")
        if item.partition(":")[0] not in kinds or not item.partition(":")[2]
    ]
    found += [
        f"deployers: {item!r} lacks its deployment group: codedeploy:APPLICATION/GROUP"
        for item in entry.texts("deployers")
        if item.startswith("codedeploy:") and not all(item.partition(":")[2].partition("/"))
    ]
    days = entry.text("evidence_days")
    if days and not (days.isascii() and days.isdecimal() and 1 <= int(days) <= 36_500):  # noqa: PLR2004 - S3's own limit
        found.append("evidence_days is not a whole number of days")
    if (tag := entry.text("class_tag")) and not all(tag.partition("=")):
        found.append("class_tag is not KEY=VALUE")
    found += [
        f"agent_credentials: {name!r} is neither user/NAME nor role/NAME"
        for name in entry.mapping("agent_credentials")
        if name.partition("/")[0] not in {"user", "role"} or not name.partition("/")[2]
    ]
    return found


def _wrong_sandbox(entry: AwsSettings) -> list[str]:
    """Return what is wrong with the keys of a sandbox."""
    found: list[str] = []
    if endpoint := entry.text("endpoint"):
        try:
            address = urlsplit(endpoint)
            good = address.scheme == "http" and _LOOPBACK.fullmatch(address.hostname or "") and address.port
        except ValueError:
            good = False
        if not good:
            found.append("endpoint is not http://127.0.0.1:PORT: it is for a sandbox on loopback alone")
    if factor := entry.text("settle_factor"):
        if re.fullmatch(r"0\.\d{1,4}|1", factor) is None or float(factor) == 0:
            found.append("settle_factor is not a number above 0 and up to 1")
        elif not entry.text("endpoint"):
            found.append("settle_factor has a meaning with a sandbox's endpoint alone")
    return found
