"""Attacks on what is left open: rights by other names; a restore that gives back what the agent planted."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from breakglass.errors import Transient
from breakglass.model.action import Verdict
from breakglass.provider import Proposed
from breakglass_gcp.actions import api_keys, identities
from breakglass_gcp.actions.api_keys import DeleteKey
from breakglass_gcp.connect import GcpProvider
from breakglass_gcp.discover.gather import gather
from breakglass_gcp.found import Found, Identity
from breakglass_gcp.project import Project
from providers.gcp.tests.deny_gcp import ACCOUNT, arm, rule
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig, close, proposal, undo

IMPERSONATE = "gcp.iam.remove_impersonation"
HOUR = str(3600)
USER = "roles/iam.workloadIdentityUser"


def doors(provider: GcpProvider) -> dict[str, Verdict]:
    """Return the doors of a plan by name."""
    return {one.name: one.verdict for one in (d.door for d in provider.discover().doors)}


def let_in(rig: Rig, email: str, member: str, role: str = USER) -> None:
    """Let a member mint as an account."""
    resource = f"projects/{rig.project}/serviceAccounts/{email}"
    bindings = {"bindings": [{"role": role, "members": [member]}]}
    rig.admin.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": bindings})


def subject(rig: Rig, pool: str = "ci", name: str = "bot") -> str:
    """Return a federated principal."""
    pools = f"projects/{rig.number}/locations/global/workloadIdentityPools"
    return f"principal://iam.googleapis.com/{pools}/{pool}/subject/{name}"


@pytest.mark.parametrize("role", ["roles/editor", "roles/owner", "roles/iam.serviceAccountUser"])
def test_a_role_that_makes_keys_or_runs_work_as_others_leaves_a_door(rig: Rig, role: str) -> None:
    """An editor makes keys of every account, and runs work as it whose token it reads."""
    bot = rig.account("bot", roles=[role])

    said = doors(rig.provider(service_accounts=[bot]))

    assert said[f"all service accounts of {rig.project} in gcp"] is Verdict.UNKNOWN


def test_a_kubernetes_account_is_known_by_its_older_name_too(rig: Rig) -> None:
    """Most clusters still grant roles/iam.workloadIdentityUser to POOL[NAMESPACE/NAME]."""
    victim = rig.account("victim")
    pool = f"{rig.project}.svc.id.goog"
    let_in(rig, victim, f"serviceAccount:{pool}[prod/bot]")
    provider = rig.provider(principals=[subject(rig, pool, "ns/prod/sa/bot")])

    step = proposal(provider, IMPERSONATE)

    assert step.target.params["email"] == victim
    assert doors(provider)[f"{victim} in gcp"] is Verdict.UNKNOWN


def test_a_set_that_the_agent_may_be_in_mints_for_it(rig: Rig) -> None:
    """The whole pool may act as that account; others of it keep that, and it is said."""
    victim, me = rig.account("victim"), subject(rig)
    let_in(rig, victim, me.replace("principal://", "principalSet://").replace("subject/bot", "*"))

    assert doors(rig.provider(principals=[me]))[f"{victim} in gcp"] is Verdict.UNKNOWN


def test_a_federated_token_of_before_does_not_mint_again_with_the_restore(rig: Rig) -> None:
    """Its grants on other accounts come back once it cannot live any more."""
    victim, me = rig.account("victim"), subject(rig)
    let_in(rig, victim, me)
    provider = rig.provider(principals=[me], token_life_s=HOUR)
    action, target = provider.actions[IMPERSONATE], proposal(provider, IMPERSONATE).target
    prior, _ = close(action, target)
    stopped = {**target.params, "stopped_at_ms": provider.project.connection.clock.now().epoch_ms}

    with pytest.raises(Transient, match="tokens from before"):
        undo(action, replace(target, params=stopped), prior)


def test_a_deny_that_spares_the_agents_whole_pool_is_not_armed(rig: Rig) -> None:
    """An exception for a set takes everybody out of the deny who is in it."""
    me = subject(rig)
    everybody = me.replace("principal://", "principalSet://").replace("subject/bot", "*")
    executor = f"{ACCOUNT}{rig.email(EXECUTOR)}"
    name = arm(rig, rule(rig, exception_principals=[executor, everybody]))

    left = rig.provider(principals=[me], class_deny_policy=name).discover().not_touched

    assert any("sets that the agent may be in" in one.reason for one in left), left


def test_keys_that_were_made_since_the_harm_began_do_not_come_back(rig: Rig) -> None:
    """They are disabled with the others; the plan does not name them."""
    bot = rig.account("bot")
    asked = {"name": f"projects/-/serviceAccounts/{bot}"}
    old = rig.admin.call("iam_admin", "create_service_account_key", asked).name.rpartition("/")[2]
    time.sleep(1.1)
    provider = rig.provider(service_accounts=[bot])
    since = provider.project.connection.clock.now()
    rig.admin.call("iam_admin", "create_service_account_key", asked)
    path = f"storage/v1/projects/{rig.project}/hmacKeys"
    rig.admin.rest("storage", "POST", path, query={"serviceAccountEmail": bot})
    project = Project(provider.project.settings, replace(provider.project.connection, since=since))

    proposed: Proposed = identities.propose(project, gather(project).found)

    keys = {
        one.action: one.target.params["keys"] for one in proposed.proposals if "keys" in one.target.params
    }
    project.close()
    assert keys == {"gcp.iam.disable_keys": [old], "gcp.storage.deactivate_hmac_keys": []}


def test_another_api_key_than_the_signed_one_is_not_deleted(rig: Rig) -> None:
    """Its name was given anew meanwhile."""
    parent = f"projects/{rig.project}/locations/global"
    assert rig.admin.operate("api_keys", "create_key", {"parent": parent, "key": {}, "key_id": "mine"})
    provider = rig.provider(api_keys=["mine"])
    step = api_keys.propose(provider.project, Found({"api_keys": ("mine",)})).proposals[0]
    other = replace(step.target, params={**step.target.params, "uid": "another"})
    action = DeleteKey(provider.project)

    action.apply(other, action.observe(other), "token")

    assert action.judge(other, action.observe(other)).verdict is Verdict.UNKNOWN
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED


def test_whoever_makes_many_accounts_takes_no_step_from_those_that_are_named(rig: Rig) -> None:
    """Half a hundred decoys would drop the guards of keys and policies of the one that matters."""
    bot = rig.account("bot")
    project = rig.provider(service_accounts=[bot]).project
    decoys = {name: Identity(name, f"1{n:020}") for n in range(60) if (name := rig.email(f"decoy-{n:02}"))}
    real = gather(project).found.identities
    found = Found({"service_accounts": (bot, *decoys)}, identities={**real, **decoys})

    guarding = {one.key for one in identities.propose(project, found).proposals if bot in one.key}

    assert {f"keys:{bot}", f"impersonation:{bot}", f"hmac:{bot}"} < guarding
