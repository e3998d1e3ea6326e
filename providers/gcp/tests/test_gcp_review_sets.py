"""The agent mints as others by sets of accounts that name nobody: the plan says so, and is no more sure."""

from __future__ import annotations

import pytest

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from providers.gcp.tests.rig_gcp import Rig
from providers.gcp.tests.test_gcp_impersonation import CREATOR, let

ACCOUNTS = "principalSet://cloudresourcemanager.googleapis.com/"


def _minted(rig: Rig, **settings: list[str]) -> list[Door]:
    """Return what the plan says of tokens of others that the agent may hold."""
    doors = (one.door for one in rig.provider(**settings).discover().doors)  # type: ignore[arg-type]  # lists of texts
    return [one for one in doors if one.kind is DoorKind.CAN_MINT]


def test_all_accounts_of_the_project_may_mint_as_one_and_the_agent_is_among_them(rig: Rig) -> None:
    """A token that it has made before outlives the stop, and could undo it."""
    bot, victim = rig.account("bot"), rig.account("victim")
    everybody = f"{ACCOUNTS}projects/{rig.number}/type/ServiceAccount"
    let(rig, victim, CREATOR, everybody)

    [door] = _minted(rig, service_accounts=[bot])

    assert (door.name, door.verdict) == (f"{victim} in gcp", Verdict.UNKNOWN)
    assert everybody in door.reason


@pytest.mark.parametrize("of", ["organizations/123456789012", "folders/123456/type/ServiceAccount"])
def test_a_set_of_more_than_the_project_has_the_agent_in_it_as_well(rig: Rig, of: str) -> None:
    """Which one it is below nobody needs to know for that."""
    bot, victim = rig.account("bot"), rig.account("victim")
    let(rig, victim, CREATOR, f"{ACCOUNTS}{of}")

    assert [one.name for one in _minted(rig, service_accounts=[bot])] == [f"{victim} in gcp"]


@pytest.mark.parametrize("of", ["projects/999999999999/type/ServiceAccount", "projects/{}/type/ServiceAgent"])
def test_a_set_that_the_agent_is_not_in_is_nobodys_doubt(rig: Rig, of: str) -> None:
    """Accounts of another project, and Google's own."""
    bot, victim = rig.account("bot"), rig.account("victim")
    let(rig, victim, CREATOR, f"{ACCOUNTS}{of.format(rig.number)}")

    assert _minted(rig, service_accounts=[bot]) == []


def test_a_role_of_the_project_for_all_its_accounts_is_the_agents_too(rig: Rig) -> None:
    """It mints as every account of the project, and no grant names it."""
    bot = rig.account("bot")
    rig.grant(f"{ACCOUNTS}projects/{rig.number}/type/ServiceAccount", CREATOR)

    [door] = _minted(rig, service_accounts=[bot])

    assert door.name == f"all service accounts of {rig.project} in gcp"
    assert f"{CREATOR} (as one of a set)" in door.reason


def test_a_role_of_the_project_for_a_whole_pool_is_the_agents_that_comes_through_it(rig: Rig) -> None:
    """Also where the pool is somebody else's as well, and stays as it is."""
    pool = f"iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/shared"
    rig.grant(f"principalSet://{pool}/*", CREATOR)

    doors = _minted(rig, principals=[f"principal://{pool}/subject/bot"])

    assert f"all service accounts of {rig.project} in gcp" in [one.name for one in doors]
