"""``gcp.apikeys.delete_key``: an API key has no switch to disable it; deleted, it can come back for 30 days.

API Keys API reference, keys.delete and keys.undelete: within 30 days the same key, with its string and its
restrictions, is there again. The key string is never read here.
"""

from __future__ import annotations

from functools import partial

from breakglass.canon import Json
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Notes, Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import shown

SPEC = ActionSpec(
    name="gcp.apikeys.delete_key",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="deletes the API key: it cannot be disabled, and for 30 days it can be undeleted, string and all",
    permissions=("apikeys.keys.delete", "apikeys.keys.get", "apikeys.keys.list"),
    undo_permissions=("apikeys.keys.undelete",),
    blast_radius="everything that calls with this key",
    reversibility=Reversibility.FULL,
    undo="undeletes the key, within 30 days: the same string, the same restrictions",
    settle_s=300,
    best_grade=Grade.READ_BACK,
    example="gcp.apikeys.delete_key key/b7ff1f9f-8275-410a-94dd-3855ee9b5dd2",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "API Keys API reference, projects.locations.keys.delete"),
        Source(
            "settle", Authority.UNVERIFIED, "no document says how soon a deleted key is refused everywhere"
        ),
        Source("undo", Authority.VENDOR_TEXT, "API Keys API reference, projects.locations.keys.undelete"),
    ),
    service="api_keys",
)
KEY = "key"
_KEPT = ("name", "uid", "display_name", "restrictions", "annotations", "service_account_email", "delete_time")
"""All of a key but its string, its etag and its times."""


class DeleteKey:
    """One API key."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the key, with its restrictions; never its string."""
        key = _read(self._project, str(resource.params["key"]))
        return State({} if key is None else {KEY: key})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Delete it unless it is deleted."""
        key = before.objects.get(KEY)
        if key is None or _is_deleted(key) or text(key, "uid") != resource.params["uid"]:
            return
        try:
            self._project.operate("api_keys", "delete_key", {"name": _name(resource)})
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the key is deleted."""
        key = state.objects.get(KEY)
        if key is None:
            return Judgement(Verdict.CONTAINED, "there is no such key any more")
        if text(key, "uid") != resource.params["uid"]:
            return Judgement(Verdict.UNKNOWN, f"this is another key than was signed: {text(key, 'uid')}")
        if _is_deleted(key):
            return Judgement(Verdict.CONTAINED, f"deleted at {text(key, 'delete_time')}")
        return Judgement(Verdict.NOT_CONTAINED, "the key is there")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Undelete the key that the stop deleted."""
        was, current = before.objects.get(KEY), now.objects.get(KEY)
        if was is None or _is_deleted(was):
            return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "it was deleted before the stop")
        if current is None:
            return Reversal(
                {KEY: Outcome.CANNOT}, "the key is purged: 30 days are over, or somebody purged it"
            )
        if not _is_deleted(current):
            return Reversal({KEY: Outcome.ALREADY}, "somebody undeleted it already")
        self._project.operate("api_keys", "undelete_key", {"name": _name(resource)})
        return Reversal({KEY: Outcome.RESTORED}, "undeleted: the same string, the same restrictions")

    def probe(self, resource: Resource) -> Judgement | None:
        """Return None: the key's string is not held, and whether it is refused cannot be asked without it."""
        del resource
        return None


def propose(project: Project, found: Found) -> Proposed:
    """Propose to delete each key that the inventory names by its uid; one that is not read hides no other."""
    notes, proposed = Notes(), Proposed()
    for name in found.of("api_keys"):
        proposed = proposed.plus(notes.attempt(partial(_of_key, project, name), Proposed()))
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_key(project: Project, name: str) -> Proposed:
    label, key = f"API key {name}", _read(project, name)
    if key is None or _is_deleted(key):
        why = "there is none of this uid" if key is None else "it is deleted already"
        return Proposed(not_touched=(NotTouched(label, why),))
    called = shown(text(key, "display_name"))
    target = project.target(
        "gcp-api-key",
        f"key/{name}",
        f"{label} ({called})" if called else label,
        key=name,
        uid=text(key, "uid"),
    )
    step = Proposal(key=f"api_key:{name}", action=SPEC.name, target=target, settle_s=project.settle_s(SPEC))
    return Proposed((step,))


def _read(project: Project, key: str) -> dict[str, Json] | None:
    """Return a key, also a deleted one; None: there is none.

    API Keys API reference: a listing shows deleted keys where that is asked for; whether keys.get does is
    not said.
    """
    try:
        return _kept(as_json(project.call("api_keys", "get_key", {"name": _full(project, key)})))
    except Gone:
        parent = f"projects/{project.number}/locations/global"
        listed = project.every("api_keys", "list_keys", {"parent": parent, "show_deleted": True})
        found = (as_json(one) for one in listed.items)
        return next((_kept(one) for one in found if text(one, "name").rpartition("/")[2] == key), None)


def _kept(seen: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in seen.items() if name in _KEPT}


def _name(resource: Resource) -> str:
    return f"projects/{resource.params['project_number']}/locations/global/keys/{resource.params['key']}"


def _full(project: Project, key: str) -> str:
    return f"projects/{project.number}/locations/global/keys/{key}"


def _is_deleted(key: Json) -> bool:
    return bool(field(key, "delete_time"))


ACTION_CLASSES = (DeleteKey,)
SPECS = (SPEC,)
