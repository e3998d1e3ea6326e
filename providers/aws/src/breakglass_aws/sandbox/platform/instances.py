"""EC2 instances that act with their profile's role."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.platform import backends, network
from breakglass_aws.sandbox.platform.acting import ACTING, act
from breakglass_aws.sandbox.platform.sessions import SESSIONS


def tick(_now: float) -> None:
    """Let every running instance act; one that does not run loses what it held in memory."""
    for backend, instance in network.instances():
        if instance.state == "running":
            ACTING.submit(f"instance {instance.id}", lambda b=backend, i=instance: _round(b, i))  # type: ignore[misc]
        else:
            SESSIONS.drop(f"instance/{instance.id}", instance.id)


def _round(backend: Any, instance: Any) -> None:  # noqa: ANN401 - moto's
    """Act with the session that it holds, else with a new one of the role in its profile.

    EC2 User Guide, "Retrieve security credentials from instance metadata": a session is good until it
    expires, whatever becomes of the profile; new ones come from the metadata service, if it is on.
    """
    channel = f"instance/{instance.id}"
    keys = SESSIONS.of(channel, None, instance.id)
    if keys is None:
        keys = SESSIONS.of(channel, _role(backend, instance), instance.id)
    if keys is not None and instance.state == "running":
        act(channel, keys)


def _role(backend: Any, instance: Any) -> str | None:  # noqa: ANN401 - moto's
    if str(_option(instance, "HttpEndpoint") or "enabled") == "disabled":
        return None
    profile = _profile(backend, instance)
    roles = list(getattr(profile, "roles", None) or ())
    return str(roles[0].arn) if roles else None


def _option(instance: Any, name: str) -> object:  # noqa: ANN401 - moto's
    options = getattr(instance, "metadata_options", None)
    if isinstance(options, dict):
        return options.get(name)
    lower = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    return getattr(options, lower, None)


def _profile(backend: Any, instance: Any) -> Any:  # noqa: ANN401 - moto's
    """Return the instance profile as IAM has it now."""
    from moto.iam.models import iam_backends

    link = backend.iam_instance_profile_associations.get(instance.id)
    named = getattr(link, "iam_instance_profile", None) or instance.iam_instance_profile
    arn = named.get("Arn") or named.get("Name") if isinstance(named, dict) else getattr(named, "arn", named)
    if not arn:
        return None
    profiles = iam_backends[backend.account_id]["aws"].instance_profiles
    return next((one for one in profiles.values() if one.name == backends.name_of(str(arn))), None)
