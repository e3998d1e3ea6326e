"""What moto lacks of Roles Anywhere and of EKS Pod Identity: profiles and associations."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Handler, Refusal

PAGE = 10
_PROFILES: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
_PODS: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
"""(account, region, cluster) -> association id -> association."""
_NUMBERS = itertools.count(1)
_ASSOCIATION = (
    "namespace",
    "serviceAccount",
    "roleArn",
    "targetRoleArn",
    "disableSessionTags",
    "policy",
    "tags",
)


def create_profile(call: Call) -> Mapping[str, Any]:
    """Make a profile; it is disabled unless the call says otherwise."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{call.account}{call.region}{next(_NUMBERS)}"))
    made: dict[str, Any] = {
        "profileId": name,
        "profileArn": f"arn:aws:rolesanywhere:{call.region}:{call.account}:profile/{name}",
        "name": call.params["name"],
        "enabled": bool(call.params.get("enabled", False)),
        "roleArns": list(call.params["roleArns"]),
        "durationSeconds": call.params.get("durationSeconds", 3600),
        "createdAt": _now(),
        "updatedAt": _now(),
    }
    _PROFILES.setdefault((call.account, call.region), {})[name] = made
    return {"profile": made}


def get_profile(call: Call) -> Mapping[str, Any]:
    """Tell a profile."""
    return {"profile": _profile(call)}


def list_profiles(call: Call) -> Mapping[str, Any]:
    """Tell a page of profiles."""
    listed = list(_PROFILES.get((call.account, call.region), {}).values())
    return _paged("profiles", listed, call.params.get("nextToken"), call.params.get("pageSize"))


def switch_profile(call: Call) -> Mapping[str, Any]:
    """Enable or disable a profile."""
    profile = _profile(call)
    profile["enabled"] = call.operation == "EnableProfile"
    profile["updatedAt"] = _now()
    return {"profile": profile}


def delete_profile(call: Call) -> Mapping[str, Any]:
    """Delete a profile."""
    profile = _profile(call)
    del _PROFILES[call.account, call.region][profile["profileId"]]
    return {"profile": profile}


def create_pod_identity(call: Call) -> Mapping[str, Any]:
    """Make an association; a service account has at most one."""
    known = _PODS.setdefault(_cluster(call), {})
    same = ("namespace", "serviceAccount")
    if any(all(one[key] == call.params[key] for key in same) for one in known.values()):
        raise Refusal("ResourceInUseException", "Association already exists", 409)
    cluster, number = str(call.params["clusterName"]), next(_NUMBERS)
    name = f"a-{hashlib.sha256(f'{call.account}{call.region}{cluster}{number}'.encode()).hexdigest()[:17]}"
    whole = f"{cluster}/{name}"
    known[name] = {
        "clusterName": cluster,
        "associationId": name,
        "associationArn": f"arn:aws:eks:{call.region}:{call.account}:podidentityassociation/{whole}",
        "createdAt": _now(),
        "modifiedAt": _now(),
        "disableSessionTags": False,
        **{key: call.params[key] for key in _ASSOCIATION if call.params.get(key) is not None},
    }
    return {"association": known[name]}


def describe_pod_identity(call: Call) -> Mapping[str, Any]:
    """Tell an association whole."""
    return {"association": _association(call)}


def list_pod_identities(call: Call) -> Mapping[str, Any]:
    """Tell a page of a cluster's associations."""
    wanted = {key: call.params[key] for key in ("namespace", "serviceAccount") if call.params.get(key)}
    keys = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
    listed = [
        {key: one[key] for key in keys}
        for one in _PODS.get(_cluster(call), {}).values()
        if all(one[key] == value for key, value in wanted.items())
    ]
    return _paged("associations", listed, call.params.get("nextToken"), call.params.get("maxResults"))


def delete_pod_identity(call: Call) -> Mapping[str, Any]:
    """Delete an association."""
    gone = _association(call)
    del _PODS[_cluster(call)][gone["associationId"]]
    return {"association": gone}


def _profile(call: Call) -> dict[str, Any]:
    name = str(call.params["profileId"]).rpartition("/")[2]
    found = _PROFILES.get((call.account, call.region), {}).get(name)
    if found is None:
        raise Refusal("ResourceNotFoundException", f"Profile {name} not found", 404)
    return found


def _cluster(call: Call) -> tuple[str, str, str]:
    from moto.eks.models import eks_backends

    name = str(call.params["clusterName"])
    if name not in eks_backends[call.account][call.region].clusters:
        raise Refusal("ResourceNotFoundException", f"No cluster found for name: {name}.", 404)
    return call.account, call.region, name


def _association(call: Call) -> dict[str, Any]:
    name = str(call.params["associationId"])
    found = _PODS.get(_cluster(call), {}).get(name)
    if found is None:
        raise Refusal("ResourceNotFoundException", f"association {name} not found", 404)
    return found


def _paged(key: str, items: list[Any], token: object, limit: object) -> Mapping[str, Any]:
    start, size = int(str(token or 0)), int(str(limit or PAGE))
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return {key: items[start : start + size], **more}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _forget() -> None:
    _PROFILES.clear()
    _PODS.clear()


def _profiles() -> Any:  # noqa: ANN401 - JSON
    return {
        "/".join((*where, name)): {"enabled": one["enabled"], "roles": one["roleArns"]}
        for where, profiles in sorted(_PROFILES.items())
        for name, one in sorted(profiles.items())
    }


def _pods() -> Any:  # noqa: ANN401 - JSON
    """Tell the associations by what they are for: their ids change when they are made again."""
    return {
        "/".join((*where, one["namespace"], one["serviceAccount"])): {
            key: one[key] for key in _ASSOCIATION if key in one
        }
        for where, associations in sorted(_PODS.items())
        for one in associations.values()
    }


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("rolesanywhere", "CreateProfile"): create_profile,
    ("rolesanywhere", "GetProfile"): get_profile,
    ("rolesanywhere", "ListProfiles"): list_profiles,
    ("rolesanywhere", "EnableProfile"): switch_profile,
    ("rolesanywhere", "DisableProfile"): switch_profile,
    ("rolesanywhere", "DeleteProfile"): delete_profile,
    ("eks", "CreatePodIdentityAssociation"): create_pod_identity,
    ("eks", "DescribePodIdentityAssociation"): describe_pod_identity,
    ("eks", "ListPodIdentityAssociations"): list_pod_identities,
    ("eks", "DeletePodIdentityAssociation"): delete_pod_identity,
}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {"anywhere_profiles": _profiles, "pod_identities": _pods}
