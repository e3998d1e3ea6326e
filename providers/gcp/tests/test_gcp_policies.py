"""Members of allow policies are taken away and put back, and nobody else's grant is touched."""

from __future__ import annotations

from breakglass.canon import Json
from breakglass_gcp.policies import Grant, grants, with_back, without

AGENT, OTHER = "serviceAccount:bot@p.iam.gserviceaccount.com", "user:ann@example.com"
CONDITION: dict[str, Json] = {
    "title": "until june",
    "expression": "request.time < timestamp('2027-06-01T00:00:00Z')",
}
POLICY: dict[str, Json] = {
    "version": 3,
    "etag": "AAAA",
    "bindings": [
        {"role": "roles/viewer", "members": [OTHER, AGENT, "group:g@example.com"]},
        {"role": "roles/editor", "members": [AGENT]},
        {"role": "roles/viewer", "members": [AGENT], "condition": CONDITION},
        {"role": "roles/owner", "members": [OTHER]},
    ],
}


def _own(member: str) -> bool:
    return member == AGENT


def test_every_grant_of_the_agent_is_found_with_its_condition() -> None:
    """The same role with and without a condition are two grants."""
    found = grants(POLICY, _own)

    assert [one.role for one in found] == ["roles/viewer", "roles/editor", "roles/viewer"]
    assert [one.condition for one in found] == [None, None, CONDITION]
    assert len({one.key for one in found}) == 3


def test_taking_away_leaves_the_others_where_they_were() -> None:
    """Who else is in a binding stays, and so do the etag and the version."""
    left = without(POLICY, grants(POLICY, _own))

    assert left["bindings"] == [
        {"role": "roles/viewer", "members": [OTHER, "group:g@example.com"]},
        {"role": "roles/owner", "members": [OTHER]},
    ]
    assert left["etag"] == "AAAA"
    assert grants(left, _own) == ()


def test_putting_back_gives_the_very_same_policy() -> None:
    """Each grant comes back where it stood, through what a journal carries."""
    found = [Grant.of(one.as_json()) for one in grants(POLICY, _own)]

    assert with_back(without(POLICY, found), found) == POLICY


def test_only_the_named_grants_are_taken_away() -> None:
    """A grant with a condition stays where only the one without was meant."""
    left = without(POLICY, [Grant("roles/viewer", AGENT)])

    assert [one.key for one in grants(left, _own)] == [
        one.key for one in grants(POLICY, _own) if one.key != f"roles/viewer {AGENT}"
    ]


def test_putting_back_needs_version_3_for_conditions() -> None:
    """A policy that lost its last condition meanwhile is written as version 3 again."""
    bare: dict[str, Json] = {"version": 1, "etag": "BBBB", "bindings": []}
    back = with_back(bare, [Grant("roles/viewer", AGENT, CONDITION)])

    assert back["version"] == 3
    assert back["bindings"] == [{"role": "roles/viewer", "members": [AGENT], "condition": CONDITION}]


def test_what_is_there_already_is_not_doubled() -> None:
    """Putting back twice is putting back once."""
    found = grants(POLICY, _own)

    assert with_back(POLICY, found) == POLICY
