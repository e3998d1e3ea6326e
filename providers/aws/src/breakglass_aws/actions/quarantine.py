"""Denies everything to one user or role, by the slot that is free: policy, else boundary, else inline.

An explicit deny in any of the three wins over every allow, those of resource policies included (IAM User
Guide, "Policy evaluation logic"). Objects of the state are named ``UNIQUE_ID slot``: a principal that was
replaced by one of the same name is another container, and the new one gets its own deny.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Transient
from breakglass.model.action import Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_aws.account import Account, Answer
from breakglass_aws.actions.denial import DENY_ALL, managed_policy_denies, same_document, text_denies_all
from breakglass_aws.renamed import name_now
from breakglass_aws.texts import document_text

INLINE_NAME = "breakglass-quarantine"
ATTACHED, BOUNDARY, INLINE, POLICY = "attached", "boundary", "inline", "policy"
CLASS = "class"
"""Whether the class policy is attached and denies everything: then nothing more is needed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How IAM's calls name this kind of principal."""

    word: str
    title: str

    def name(self, name: str) -> dict[str, str]:
        """Return the parameter that names it."""
        return {f"{self.title}Name": name}


ROLE = Kind("role", "Role")
USER = Kind("user", "User")


class Quarantine:
    """Reads, sets and lifts the deny of one kind of principal."""

    def __init__(self, account: Account, kind: Kind) -> None:
        """Call as the executor of this account."""
        self._account = account
        self._kind = kind
        self._renamed: dict[str, str] = {}
        """Unique id -> the name that a user has now, where that is not the planned one."""

    def observe(self, resource: Resource) -> State:
        """Read the three slots; a principal that is gone has none.

        A user that was renamed is still the agent's; so is one that was made in its place.
        """
        name, planned = str(resource.params[self._kind.word]), str(resource.params["unique_id"])
        objects = dict(self._read(resource, name).objects)
        if self._kind is USER and f"{planned} {ATTACHED}" not in objects:
            now = name_now(self._account, planned)
            if now is not None and now != name:
                self._renamed[planned] = now
                objects |= self._read(resource, now).objects
        else:
            self._renamed.pop(planned, None)
        return State(objects)

    def _read(self, resource: Resource, name: str) -> State:
        known = self._account.bulk.entity(f"{self._kind.word}/{name}")
        try:
            if known is not None:
                boundary, inline = known.boundary, known.inline.get(INLINE_NAME)
                return self._state(resource, known.id, known.attached, boundary, lambda: inline)
            found = self._call("get_{}", name)[self._kind.title]
            boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
            attached = sorted(self._attached(name))
            unique = str(found[f"{self._kind.title}Id"])
            return self._state(resource, unique, attached, boundary, lambda: self._inline(name))
        except Gone:
            return State({})

    def _state(
        self,
        resource: Resource,
        unique: str,
        attached: Sequence[str],
        boundary: str | None,
        inline: Callable[[], str | None],
    ) -> State:
        """Join what was read; the inline policy is asked for only where it matters."""
        policy, by_class = str(resource.params["policy"]), str(resource.params.get("class_policy") or "")
        denies = managed_policy_denies(self._account, policy)
        objects: dict[str, Json] = {
            f"{unique} {ATTACHED}": [*attached],
            f"{unique} {BOUNDARY}": boundary,
            f"{unique} {POLICY}": denies,
        }
        if by_class:
            carried = by_class in attached
            objects[f"{unique} {CLASS}"] = carried and managed_policy_denies(self._account, by_class)
        denied = objects.get(f"{unique} {CLASS}") is True or (denies and policy in {*attached, boundary})
        if not denied:
            objects[f"{unique} {INLINE}"] = inline()
        return State(objects)

    def apply(self, resource: Resource, before: State) -> None:
        """Deny by the first slot that takes it.

        Raises:
            ProviderError: no slot takes it.
        """
        for unique, slots in _slots(before).items():
            if self._denied(resource, slots).verdict is not Verdict.CONTAINED:
                self._deny(resource, self._name(resource, unique), slots)

    def _deny(self, resource: Resource, name: str, slots: Mapping[str, Json]) -> None:
        policy = str(resource.params["policy"])
        ways: list[tuple[str, dict[str, str]]] = [
            ("put_{}_policy", {"PolicyName": INLINE_NAME, "PolicyDocument": DENY_ALL})
        ]
        if slots[POLICY] is True:
            ways = [
                ("attach_{}_policy", {"PolicyArn": policy}),
                ("put_{}_permissions_boundary", {"PermissionsBoundary": policy}),
                *ways,
            ]
        refused: list[ProviderError] = []
        for operation, params in ways:
            try:
                self._call(operation, name, **params)
            except (Gone, InDoubt, Transient):
                raise
            except ProviderError as error:
                refused.append(error)
            else:
                return
        raise _worth_another_try(refused)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether one of the slots denies everything."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"{resource.label} does not exist any more")
        said = [self._denied(resource, slots) for slots in _slots(state).values()]
        return next((one for one in said if one.verdict is not Verdict.CONTAINED), said[0])

    def _denied(self, resource: Resource, slots: Mapping[str, Json]) -> Judgement:
        """Decide it for one unique id."""
        policy = str(resource.params["policy"])
        attached, boundary, inline = slots[ATTACHED], slots[BOUNDARY], slots.get(INLINE)
        if slots.get(CLASS) is True:
            by_class = resource.params["class_policy"]
            return Judgement(Verdict.CONTAINED, f"denied everything by its class policy {by_class}")
        if slots[POLICY] is True and isinstance(attached, list) and policy in attached:
            return Judgement(Verdict.CONTAINED, f"denied everything by the attached policy {policy}")
        if slots[POLICY] is True and boundary == policy:
            return Judgement(Verdict.CONTAINED, f"denied everything by its permissions boundary {policy}")
        if isinstance(inline, str) and text_denies_all(inline):
            return Judgement(Verdict.CONTAINED, f"denied everything by the inline policy {INLINE_NAME}")
        return Judgement(Verdict.NOT_CONTAINED, f"nothing denies {resource.label}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take back what the stop set, slot by slot."""
        planned, objects = str(resource.params["unique_id"]), now.objects
        denied_before = self._denied_by(resource, before, planned)
        outcomes: dict[str, Outcome] = {}
        for key, was in before.objects.items():
            unique, _, slot = key.partition(" ")
            if unique != planned or f"{unique} {ATTACHED}" not in objects:
                outcomes[key] = Outcome.DRIFTED
            elif slot in {POLICY, CLASS}:
                outcomes[key] = Outcome.ALREADY
            else:
                try:
                    outcomes[key] = self._lift(resource, slot, was, objects.get(key), denied_before)
                except Gone:
                    outcomes[key] = self._without(resource, key, was)
        return Reversal(outcomes, "denies that the stop set are lifted; one that was replaced is left alone")

    def _without(self, resource: Resource, key: str, was: Json) -> Outcome:
        """Read again what a call did not find: a call whose answer was lost is sent again by the SDK."""
        fresh, policy = self.observe(resource).objects, str(resource.params["policy"])
        unique, _, slot = key.partition(" ")
        if f"{unique} {ATTACHED}" not in fresh:
            return Outcome.DRIFTED
        if slot == ATTACHED:
            same = (policy in _texts(was)) == (policy in _texts(fresh[key]))
        else:
            name = self._name(resource, str(resource.params["unique_id"]))
            same = was == (self._inline(name) if slot == INLINE else fresh.get(key))
        return Outcome.RESTORED if same else Outcome.DRIFTED

    def _denied_by(self, resource: Resource, before: State, planned: str) -> bool:
        """Return whether it was denied before the stop, which then set nothing as far as can be told."""
        own = {key: value for key, value in before.objects.items() if key.startswith(f"{planned} ")}
        return bool(own) and self.judge(resource, State(own)).verdict is Verdict.CONTAINED

    def _lift(self, resource: Resource, slot: str, was: Json, now: Json, denied_before: bool) -> Outcome:  # noqa: FBT001 - a fact about `was`
        """Put one slot back if it is as the stop left it."""
        policy = str(resource.params["policy"])
        name = self._name(resource, str(resource.params["unique_id"]))
        if slot == INLINE:
            now = self._inline(name)
            ours = same_document(now, DENY_ALL)
        elif slot == BOUNDARY:
            ours = now == policy
        else:
            was, now = policy in _texts(was), policy in _texts(now)
            ours = now
        if was == now:
            return Outcome.ALREADY
        if not ours or denied_before:
            return Outcome.DRIFTED
        if slot == ATTACHED:
            self._call("detach_{}_policy", name, PolicyArn=policy)
        elif slot == BOUNDARY and was is None:
            self._call("delete_{}_permissions_boundary", name)
        elif slot == BOUNDARY:
            self._call("put_{}_permissions_boundary", name, PermissionsBoundary=str(was))
        elif was is None:
            self._call("delete_{}_policy", name, PolicyName=INLINE_NAME)
        else:
            self._call("put_{}_policy", name, PolicyName=INLINE_NAME, PolicyDocument=str(was))
        return Outcome.RESTORED

    def _name(self, resource: Resource, unique: str) -> str:
        return self._renamed.get(unique) or str(resource.params[self._kind.word])

    def _call(self, operation: str, name: str, **params: str) -> Answer:
        return self._account.call("iam", operation.format(self._kind.word), **self._kind.name(name), **params)

    def _attached(self, name: str) -> list[str]:
        operation = f"list_attached_{self._kind.word}_policies"
        pages = self._account.pages("iam", operation, "AttachedPolicies", **self._kind.name(name))
        return [str(one["PolicyArn"]) for one in pages]

    def _inline(self, name: str) -> str | None:
        try:
            answer = self._call("get_{}_policy", name, PolicyName=INLINE_NAME)
        except Gone:
            return None
        return document_text(answer, "PolicyDocument")


def _slots(state: State) -> Mapping[str, dict[str, Json]]:
    """Return what was read, by unique id and slot."""
    found: dict[str, dict[str, Json]] = {}
    for key, value in state.objects.items():
        unique, _, slot = key.partition(" ")
        found.setdefault(unique, {})[slot] = value
    return found


def _texts(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _worth_another_try(refused: list[ProviderError]) -> ProviderError:
    """Return one error for all: that of a full slot may pass, a denied one does not."""
    words = "; ".join(error.what for error in refused)
    first = next((error for error in refused if not isinstance(error, Denied)), None)
    made: Mapping[bool, type[ProviderError]] = {True: Denied, False: ProviderError}
    return made[first is None](f"no slot for a deny is left: {words}"[:600], where=refused[0].where)
