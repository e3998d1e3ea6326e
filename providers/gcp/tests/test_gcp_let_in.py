"""Whose hand a grant is, by the audit log alone: the agent's, of one whom it let in, or somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass_gcp.audit_events import Change, Event
from breakglass_gcp.discover import audit
from breakglass_gcp.discover.let_in import let_in
from breakglass_gcp.policies import Grant
from breakglass_gcp.since_harm import SinceHarm, short_name, short_names

BOT, CI, ME = (f"{one}@p.iam.gserviceaccount.com" for one in ("bot", "ci", "breakglass"))
EVE, ALICE = "eve@evil.example", "alice@example.com"
P, TOPIC, ACCOUNT = "projects/p", "projects/p/topics/t", f"projects/p/serviceAccounts/{CI}"
OWNER, EDITOR, VIEWER = "roles/owner", "roles/editor", "roles/viewer"
CREATOR = "roles/iam.serviceAccountTokenCreator"
POOL = "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/evil"
AGENT = f"serviceAccount:{BOT}"
SINCE = Instant(1_800_000_000_000)


def wrote(by: str, where: str, *changes: str, via: Sequence[str] = ()) -> Event:
    """Return an event of a policy; a change is ``+`` or ``-``, a role and a member."""
    parsed = tuple(
        Change(one[0] == "+", Grant(role, who)) for one in changes for role, who in [one[1:].split()]
    )
    return Event("", by, tuple(via), "google.iam.admin.v1.SetIAMPolicy", where, {}, {}, parsed)


def key(
    verb: str, *, by: str = BOT, of: str = CI, method: str = "", response: Mapping[str, Json] | None = None
) -> Event:
    """Return an event of a key of an account."""
    name = f"projects/-/serviceAccounts/{of}/keys/k1"
    asked: dict[str, Json] = {"name": name}
    full = method or f"google.iam.admin.v1.{verb}ServiceAccountKey"
    return Event("", by, (), full, name, asked, response or {}, ())


def judged(*events: Event, me: str = ME) -> SinceHarm:
    """Judge these events, the oldest first."""
    return let_in(tuple(reversed(events)), SINCE, audit.by_any([BOT], []), me, ())


def whose(found: SinceHarm, where: str = P, grant: str = f"{OWNER} {AGENT}") -> str:
    """Return what becomes of a grant."""
    added = found.grants.get((short_name(where), grant))
    if added is None:
        return "as it was"
    return "stays away" if added.own else "a doubt" if added.doubt else "comes back"


GIVES = wrote(CI, P, f"+{OWNER} {AGENT}")
"""The agent's role, given by somebody else's account."""


@pytest.mark.parametrize("eve", [EVE, "Eve@EVIL.example"])
def test_who_acts_through_an_account_is_the_agents_where_the_agent_let_it_in(eve: str) -> None:
    """It let a stranger mint as an account of the owner's."""
    let = wrote(BOT, P, f"+{CREATOR} user:{eve}")

    found = judged(let, wrote(CI, P, f"+{OWNER} {AGENT}", via=[EVE]))

    assert whose(found) == "stays away"
    assert found.hands == {EVE: f"{CREATOR} on {P}, by {BOT} at "}
    assert whose(judged(let, GIVES)) == "comes back"


@pytest.mark.parametrize("who", ["user:eve@evil.example", AGENT])
def test_an_account_that_the_agent_opened_is_its_hand_also_where_the_log_tells_no_other(who: str) -> None:
    """Who signs as an account needs no token of it: its calls name nobody behind it."""
    assert whose(judged(wrote(BOT, ACCOUNT, f"+{CREATOR} {who}"), GIVES)) == "stays away"
    assert whose(judged(wrote(BOT, ACCOUNT, f"+{VIEWER} {who}"), GIVES)) == "comes back"


HMAC = {"metadata": {"serviceAccountEmail": CI, "accessId": "GOOG1", "state": "ACTIVE"}}


@pytest.mark.parametrize(
    "made",
    [
        key("Create", response={"name": f"projects/p/serviceAccounts/{CI}/keys/k1"}),
        key("Upload"),
        key("Enable"),
        key("", method="storage.hmacKeys.create", response=HMAC),
        key("", method="storage.hmacKeys.update", response=HMAC),
    ],
    ids=["created", "uploaded", "enabled", "HMAC", "HMAC enabled"],
)
def test_an_account_of_which_the_agent_made_a_key_is_its_hand(made: Event) -> None:
    """Whose key it was no policy tells."""
    found = judged(made, GIVES)

    assert whose(found) == "stays away"
    assert list(found.hands) == [CI]


def test_an_account_of_which_somebody_else_made_a_key_is_no_hand_of_the_agents() -> None:
    """Nor is the agent's own account somebody whom it let in."""
    assert whose(judged(key("Create", by=ALICE), GIVES)) == "comes back"
    assert judged(key("Create", of=BOT)).hands == {}


@pytest.mark.parametrize(
    ("method", "asked", "hand"),
    [
        ("Jobs.CreateJob", {"job": {"template": {"template": {"service_account": CI}}}}, True),
        (
            "CloudScheduler.UpdateJob",
            {"job": {"httpTarget": {"oauthToken": {"serviceAccountEmail": CI}}}},
            True,
        ),
        (
            "Workflows.CreateWorkflow",
            {"workflow": {"serviceAccount": f"projects/-/serviceAccounts/{CI}"}},
            True,
        ),
        ("compute.instances.insert", {"serviceAccounts": [{"email": CI}]}, True),
        ("compute.instances.setServiceAccount", {"email": CI, "scopes": ["all"]}, True),
        ("admin.v1.CreateServiceAccount", {"email": CI}, True),
        ("admin.v1.PatchServiceAccount", {"serviceAccount": {"email": CI}}, False),
        ("Jobs.CreateJob", {"job": {"labels": {"owner": CI}}}, False),
    ],
)
def test_an_account_that_work_of_the_agents_acts_as_is_its_hand(
    method: str,
    asked: Mapping[str, Json],
    hand: bool,  # noqa: FBT001 - a parameter
) -> None:
    """That work's calls name the account, and nobody behind it."""
    made = Event("", BOT, (), method, P, asked, {}, ())

    assert whose(judged(made, GIVES)) == ("stays away" if hand else "comes back")
    assert whose(judged(replace(made, by=ALICE), GIVES)) == "comes back"


@pytest.mark.parametrize("where", ["request", "resource", "response"])
def test_of_a_pool_whose_provider_the_agent_wrote_everybody_is_its_hand(where: str) -> None:
    """It says who they are."""
    full = f"{POOL.partition('.com/')[2]}/providers/mine"
    told: dict[str, Json] = {"name": full}
    verb = "google.iam.v1.WorkloadIdentityPools.UpdateWorkloadIdentityPoolProvider"
    asked, answer = (told if where == one else {} for one in ("request", "response"))
    made = Event("", BOT, (), verb, full if where == "resource" else "", asked, answer)
    gives = wrote(CI, P, f"+{OWNER} {AGENT}", via=[f"principal:{POOL}/subject/anybody"])

    assert whose(judged(made, gives)) == "stays away"
    assert whose(judged(replace(made, by=ALICE), gives)) == "comes back"


def test_a_key_whose_account_the_log_tells_by_number_alone_makes_every_caller_a_doubt() -> None:
    """Callers are told by their addresses; an entry may tell that beside its name."""
    made = key("Create", of="1167")
    placed = Event("", BOT, (), made.method, made.resource, made.request, {}, (), account=CI)

    assert whose(judged(made, GIVES)) == "a doubt"
    assert whose(judged(placed, GIVES)) == "stays away"


@pytest.mark.parametrize("caller", [f"principal:{POOL}/subject/x", f"principal:{POOL}/subject/y"])
def test_of_a_set_that_the_agent_let_in_everybody_is(caller: str) -> None:
    """Callers have names of their own."""
    let = wrote(BOT, P, f"+{OWNER} principalSet:{POOL}/*")

    assert (
        whose(judged(let, wrote(caller, P, f"+{EDITOR} {AGENT}")), grant=f"{EDITOR} {AGENT}") == "stays away"
    )
    assert whose(judged(let, wrote(CI, P, f"+{OWNER} {AGENT}", via=[caller]))) == "stays away"
    other = caller.replace("evil", "good")
    assert whose(judged(let, wrote(other, P, f"+{OWNER} {AGENT}"))) == "comes back"


@pytest.mark.parametrize(
    "many",
    [
        "group:crew@evil.example",
        "domain:evil.example",
        "allUsers",
        "allAuthenticatedUsers",
        "projectEditor:evil",
        "principalSet://agents.global.org-1.system.id.goog/*",
    ],
)
def test_after_the_agent_let_in_nobody_knows_whom_unknown_callers_are_a_doubt(many: str) -> None:
    """Who is of a group no entry tells; what was there before and is given back is a doubt too."""
    let = wrote(BOT, P, f"+{OWNER} {many}")
    took = wrote(ALICE, P, f"-{OWNER} {AGENT}")

    found = judged(let, wrote(EVE, P, f"+{OWNER} {AGENT}"))

    assert whose(found) == "a doubt"
    assert found.open == (f"{many}: {OWNER} on {P}, by {BOT} at ",)
    assert "may be one whom the agent let in" in found.grants[short_name(P), f"{OWNER} {AGENT}"].words
    assert whose(judged(let, took, wrote(EVE, P, f"+{OWNER} {AGENT}"))) == "a doubt"
    only_looks = judged(wrote(BOT, P, f"+{VIEWER} {many}"), wrote(EVE, P, f"+{OWNER} {AGENT}"))
    assert (whose(only_looks), only_looks.open) == ("comes back", ())


def test_who_takes_the_agents_roles_away_is_no_agent_because_the_agent_let_them_in() -> None:
    """The agent cannot mark a responder, and then give itself what they took."""
    for role in (VIEWER, OWNER):
        marks = wrote(BOT, TOPIC, f"+{role} user:{ALICE}")
        takes, again = wrote(ALICE, P, f"-{EDITOR} {AGENT}"), wrote(BOT, P, f"+{EDITOR} {AGENT}")
        assert whose(judged(marks, takes, again), grant=f"{EDITOR} {AGENT}") == "stays away"
    own = wrote(BOT, P, f"-{EDITOR} {AGENT}")
    assert whose(judged(own, again), grant=f"{EDITOR} {AGENT}") == "as it was"


@pytest.mark.parametrize(
    ("role", "becomes"),
    [
        (VIEWER, "comes back"),
        ("roles/pubsub.viewer", "comes back"),
        ("roles/pubsub.admin", "stays away"),
        ("projects/p/roles/viewer", "stays away"),
    ],
)
def test_a_person_who_was_given_a_look_alone_is_not_let_in(role: str, becomes: str) -> None:
    """What a custom role holds, its name does not tell."""
    honest = wrote(ALICE, P, "+roles/owner user:bob@example.com")

    found = judged(wrote(BOT, TOPIC, f"+{role} user:{ALICE}"), honest)

    assert whose(found, grant="roles/owner user:bob@example.com") == becomes
    assert (ALICE in found.hands) == (becomes == "stays away")


def test_a_person_to_whom_the_agent_gave_back_what_it_had_taken_is_not_let_in() -> None:
    """They had it when the harm began."""
    one, honest = f"{OWNER} user:{ALICE}", wrote(ALICE, P, f"+{OWNER} {AGENT}")

    found = judged(wrote(BOT, P, f"-{one}"), wrote(BOT, P, f"+{one}"), honest)

    assert (whose(found), found.hands) == ("comes back", {})


def test_what_a_person_added_after_the_agents_own_was_taken_away_is_named_as_added_since() -> None:
    """It was not there when the harm began."""
    added, taken = wrote(BOT, P, f"+{OWNER} {AGENT}"), wrote(ALICE, P, f"-{OWNER} {AGENT}")

    assert whose(judged(added, taken, GIVES)) == "comes back"


def test_the_executor_is_left_out_unless_the_agent_acts_through_it() -> None:
    """Of a key of its account nothing tells who uses it: that is a doubt."""
    mine, through = wrote(ME, P, f"+{OWNER} {AGENT}"), wrote(ME, P, f"+{OWNER} {AGENT}", via=[BOT])

    assert whose(judged(mine)) == "as it was"
    assert whose(judged(through)) == "stays away"
    found = judged(key("Create", of=ME), wrote(BOT, ACCOUNT, f"+{CREATOR} serviceAccount:{ME}"), mine)
    assert (whose(found), ME in found.hands, len(found.open)) == ("a doubt", False, 1)


def test_things_of_one_name_in_two_places_are_two() -> None:
    """A name is the name of a thing only with its place, and of no other project's number."""
    eu, us = (f"projects/p/locations/{one}/jobs/j" for one in ("eu", "us"))
    found = judged(wrote(BOT, us, f"+roles/run.invoker user:{EVE}"))

    assert short_name(eu) != short_name(us)
    assert short_name("//run.googleapis.com/projects/7/locations/eu/jobs/j/") == short_name(eu)
    assert short_name("projects/p/topics/t") == "topics/t"
    assert short_names(eu) == ("locations/eu/jobs/j", "jobs/j"), "an entry may tell no place"
    assert short_name("namespaces/p/jobs/j") == short_name("projects/p/locations/-/jobs/j") == "jobs/j"
    assert whose(found, us, f"roles/run.invoker user:{EVE}") == "stays away"
    assert whose(found, eu, f"roles/run.invoker user:{EVE}") == "as it was"
