"""The keys of a GCP reach: parsed once, and refused with words where they cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from breakglass.canon import Json

_PROJECT = re.compile(r"(?:[a-z0-9.-]{1,100}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", re.ASCII)
_NUMBER = re.compile(r"[1-9]\d{5,19}", re.ASCII)
_EMAIL = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}@[a-z0-9][a-z0-9.:-]{0,199}\.gserviceaccount\.com", re.ASCII)
_SERVICE = re.compile(r"[a-z][a-z0-9-]{1,62}\.googleapis\.com", re.ASCII)
_ACCEPTED = re.compile(rf"pool:[a-z0-9.-]{{4,100}}|service:{_SERVICE.pattern}", re.ASCII)
_ESSENTIAL = frozenset(
    {
        "cloudresourcemanager",
        "iam",
        "iamcredentials",
        "logging",
        "monitoring",
        "orgpolicy",
        "serviceusage",
        "sts",
    }
)
"""Resource Manager documentation, "Restricting resource usage": it excludes essential dependencies, as IAM,
Cloud Logging and Cloud Monitoring. The others are what the stop and its restore could not do without."""
_PRINCIPAL = re.compile(r"principal(?:Set)?://[\x21-\x7e]{1,1000}", re.ASCII)
_LOCATION = re.compile(r"[a-z]+-[a-z]+\d{1,2}(?:-[a-z])?|global|us|eu|[a-z]{2,12}", re.ASCII)
_POLICY = re.compile(r"policies/[\w.%-]{1,300}/denypolicies/[a-z][a-z0-9.-]{2,62}", re.ASCII)
_BINDING = re.compile(
    r"projects/([a-z0-9.:-]{1,150})/locations/global/policyBindings/[a-z][a-z0-9.-]{2,62}", re.ASCII
)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1500}")
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|::1")
_PLACED = (
    "agent_engines",
    "eventarc_triggers",
    "functions",
    "gke_clusters",
    "instance_groups",
    "instances",
    "run_instances",
    "run_jobs",
    "run_services",
    "scheduler_jobs",
    "task_queues",
    "worker_pools",
    "workflows",
)
"""Lists whose entries say where a thing lies: LOCATION/NAME."""
_PLAIN = ("api_keys", "subscriptions", "topics", "workload_pools")
DEPLOYERS = ("cloudbuild", "clouddeploy")
MAX_SECONDS = 43_200


@dataclass(frozen=True, slots=True)
class GcpSettings:
    """One GCP reach, read from the inventory or from a signed plan."""

    project: str
    number: str
    values: Mapping[str, Json]

    @classmethod
    def of(cls, settings: Mapping[str, Json]) -> GcpSettings:
        """Take an entry that `complaints` found good."""
        return cls(str(settings.get("project", "")), str(settings.get("project_number", "")), dict(settings))

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

    @property
    def locations(self) -> tuple[str, ...]:
        """Return every region that is looked at: those named, and those of what is named."""
        placed = (entry.partition("/")[0] for key in _PLACED for entry in self.texts(key))
        regions = (re.sub(r"(\d)-[a-z]$", r"\1", one) for one in placed)
        return tuple(dict.fromkeys((*self.texts("locations"), *regions)))

    @property
    def settle_factor(self) -> float:
        """Return what settle times are multiplied with: 1 but in a drill that says otherwise."""
        return float(self.text("settle_factor") or 1)


def looks_like_account(email: str) -> bool:
    """Return whether a text is the e-mail address of a service account."""
    return _EMAIL.fullmatch(email) is not None


def complaints(settings: Mapping[str, Json]) -> Sequence[str]:
    """Return everything that is wrong with an entry, each in words."""
    entry = GcpSettings.of(settings)
    found: list[str] = []
    if _PROJECT.fullmatch(entry.project) is None:
        found.append("project is not a project's id")
    if _NUMBER.fullmatch(entry.number) is None:
        found.append("project_number is not a number: gcloud projects describe shows it")
    found += _odd_texts(settings)
    found += _wrong_names(entry)
    found += _wrong_services(entry)
    found += _wrong_executor(entry)
    found += _wrong_evidence(entry)
    found += _wrong_sandbox(entry)
    return found


def _odd_texts(settings: Mapping[str, Json]) -> list[str]:
    """Return what holds anything but visible ASCII: no name of Google Cloud does."""
    return [
        f"{key}: {item[:200]!r} is empty or has characters that no name there has"
        for key, value in settings.items()
        if key not in {"project", "project_number", "log_filter"}
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, str) and _VISIBLE.fullmatch(item) is None
    ]


def _wrong_names(entry: GcpSettings) -> list[str]:
    found = [
        f"{key}: {item[:200]!r} is not LOCATION/NAME"
        for key in _PLACED
        for item in entry.texts(key)
        if item.count("/") != 1 or not all(item.split("/")) or not _LOCATION.fullmatch(item.split("/")[0])
    ]
    found += [
        f"{key}: {item[:200]!r} is a path: give the id alone"
        for key in _PLAIN
        for item in entry.texts(key)
        if "/" in item
    ]
    found += [
        f"locations: {one!r} is no region" for one in entry.texts("locations") if not _LOCATION.fullmatch(one)
    ]
    found += [
        f"{key}: {item[:200]!r} is not the e-mail address of a service account"
        for key in ("service_accounts", "accept_blast_radius", "successors")
        for item in (entry.mapping(key).keys() if key == "successors" else entry.texts(key))
        if _EMAIL.fullmatch(item) is None and not (key == "accept_blast_radius" and _ACCEPTED.fullmatch(item))
    ]
    found += [
        f"principals: {item[:200]!r} is not principal://... or principalSet://..."
        for item in entry.texts("principals")
        if _PRINCIPAL.fullmatch(item) is None
    ]
    found += [
        f"deployers: {item[:200]!r} is none of cloudbuild:LOCATION/TRIGGER, clouddeploy:LOCATION/TARGET"
        for item in entry.texts("deployers")
        if item.partition(":")[0] not in DEPLOYERS or item.partition(":")[2].count("/") != 1
    ]
    policy = entry.text("class_deny_policy")
    if policy and _POLICY.fullmatch(policy) is None:
        found.append("class_deny_policy is not policies/ATTACHMENT_POINT/denypolicies/ID")
    binding = _BINDING.fullmatch(entry.text("class_boundary_binding"))
    if entry.text("class_boundary_binding") and (
        binding is None or binding[1] not in {entry.project, entry.number}
    ):
        found.append(
            "class_boundary_binding is not this project's projects/PROJECT/locations/global/policyBindings/ID"
        )
    return found


def _wrong_services(entry: GcpSettings) -> list[str]:
    return [
        f"class_services: {item[:200]!r} is not NAME.googleapis.com, or one that nothing goes without"
        for item in entry.texts("class_services")
        if _SERVICE.fullmatch(item) is None or item.partition(".")[0] in _ESSENTIAL
    ]


def _wrong_executor(entry: GcpSettings) -> list[str]:
    found: list[str] = []
    own = entry.text("as")
    if own and _EMAIL.fullmatch(own) is None:
        found.append("as is not the e-mail address of a service account")
    if own and own in entry.texts("service_accounts"):
        found.append("as is an account of the agent's: the stop must not depend on the agent's credential")
    found += [
        f"successors: {new[:200]!r} is not the e-mail address of a service account, or is {old} itself"
        for old, new in entry.mapping("successors").items()
        if _EMAIL.fullmatch(new) is None or new == old
    ]
    found += [
        f"agent_credentials: {name[:200]!r} is neither an account's e-mail address nor principal://..."
        for name in entry.mapping("agent_credentials")
        if _EMAIL.fullmatch(name) is None and _PRINCIPAL.fullmatch(name) is None
    ]
    return found


def _wrong_evidence(entry: GcpSettings) -> list[str]:
    days = entry.text("evidence_days")
    if days and not (days.isascii() and days.isdecimal() and 1 <= int(days) <= 36_500):  # noqa: PLR2004 - 100 years, Cloud Storage's own limit
        return ["evidence_days is not a whole number of days"]
    return []


def _wrong_sandbox(entry: GcpSettings) -> list[str]:
    found = [
        f"endpoints: {name} is not http://127.0.0.1:PORT: it is for a sandbox on loopback alone"
        for name, url in entry.mapping("endpoints").items()
        if not on_loopback(url)
    ]
    sandbox = bool(entry.mapping("endpoints"))
    if factor := entry.text("settle_factor"):
        if re.fullmatch(r"0\.\d{1,4}|1", factor) is None or float(factor) == 0:
            found.append("settle_factor is not a number above 0 and up to 1")
        elif not sandbox:
            found.append("settle_factor has a meaning with a sandbox's endpoints alone")
    if life := entry.text("token_life_s"):
        if not (life.isascii() and life.isdecimal() and 1 <= int(life) <= MAX_SECONDS):
            found.append("token_life_s is not a whole number of seconds")
        elif not sandbox:
            found.append("token_life_s has a meaning with a sandbox's endpoints alone")
    return found


def on_loopback(url: str) -> bool:
    """Return whether a URL is plain HTTP to this machine itself, with a port and nothing else."""
    try:
        address = urlsplit(url)
        host, port = address.hostname or "", address.port
    except ValueError:
        return False
    plain = address.scheme == "http" and not (address.query or address.fragment or address.username)
    return plain and address.path in {"", "/"} and port is not None and bool(_LOOPBACK.fullmatch(host))
