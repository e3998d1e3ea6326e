"""Attacks on the choice of identities: by somebody who holds what the agent holds, and can name things."""

from __future__ import annotations

import json

from breakglass.canon import Json
from breakglass.model.action import Grade, Verdict
from breakglass_gcp.actions.account_choice import choose
from breakglass_gcp.agent_principals import principals
from breakglass_gcp.calls import Calls
from breakglass_gcp.discover.gather import gather
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

HOUR = str(3600)
CREATOR = "roles/iam.serviceAccountTokenCreator"
DISABLE = "gcp.iam.disable_service_account"


def as_agent(rig: Rig, email: str) -> Calls:
    """Return calls with a token of an account."""
    return rig.calls_as(rig.token(email))


def doors(rig: Rig, **settings: Json) -> dict[str, Verdict]:
    """Return the doors of a plan by name."""
    return {one.name: one.verdict for one in (d.door for d in rig.provider(**settings).discover().doors)}


def test_an_account_named_like_one_of_googles_agents_is_stopped_all_the_same(rig: Rig) -> None:
    """Anybody may call an account of this project ``service-4711``; Google's own lie in its projects."""
    bot = rig.account("bot", roles=["roles/owner"])
    asked = {"name": f"projects/{rig.project}", "account_id": "service-471147114711"}
    hidden = str(as_agent(rig, bot).call("iam_admin", "create_service_account", asked).email)
    provider = rig.provider(service_accounts=[bot])

    found = gather(provider.project).found
    chosen = [one.email for one in choose(provider.project, found).own]

    assert chosen == [bot, hidden]
    assert hidden in principals(provider.project, found).accounts


def test_a_role_that_the_agent_gave_itself_for_a_moment_leaves_tokens_behind(rig: Rig) -> None:
    """It mints as everybody and takes the grant away again before anyone plans."""
    bot = rig.account("bot", roles=["roles/resourcemanager.projectIamAdmin"])
    rig.account("victim")
    agent, resource = as_agent(rig, bot), f"projects/{rig.project}"
    before = agent.call("projects", "get_iam_policy", {"resource": resource})
    more = agent.call("projects", "get_iam_policy", {"resource": resource})
    more.bindings.add(role=CREATOR, members=[f"serviceAccount:{bot}"])
    after = agent.call("projects", "set_iam_policy", {"resource": resource, "policy": more})
    before.etag = after.etag
    agent.call("projects", "set_iam_policy", {"resource": resource, "policy": before})

    said = doors(rig, service_accounts=[bot])

    assert said[f"tokens by {CREATOR} on {resource}"] is Verdict.UNKNOWN


def test_a_decoy_of_the_same_name_hides_no_code_that_was_changed(rig: Rig) -> None:
    """The agent has a job called as the service that it put its code into."""
    bot = rig.account("bot", roles=["roles/owner"])
    rig.grant(f"serviceAccount:{bot}", "roles/iam.serviceAccountUser")
    agent, parent = as_agent(rig, bot), f"projects/{rig.project}/locations/{LOCATION}"
    template = {"containers": [{"image": "x"}], "service_account": rig.account("web")}
    asked = {"parent": parent, "service_id": "web", "service": {"template": template}}
    assert rig.admin.operate("run_services", "create_service", asked)
    decoy = {"template": {"template": {"containers": [{"image": "x"}], "service_account": bot}}}
    assert agent.operate("run_jobs", "create_job", {"parent": parent, "job_id": "web", "job": decoy})
    changed = agent.call("run_services", "get_service", {"name": f"{parent}/services/web"})
    changed.template.containers[0].image = "evil"
    assert agent.operate("run_services", "update_service", {"service": changed})

    said = doors(rig, service_accounts=[bot])

    assert said[f"code of {parent}/services/web"] is Verdict.NOT_CONTAINED


def test_an_hmac_key_that_the_agent_made_of_somebody_else_is_a_door(rig: Rig) -> None:
    """It signs requests as that account for ever, whatever becomes of the agent's."""
    bot, victim = rig.account("bot", roles=["roles/owner"]), rig.account("victim")
    path = f"storage/v1/projects/{rig.project}/hmacKeys"
    made = as_agent(rig, bot).rest("storage", "POST", path, query={"serviceAccountEmail": victim})
    key = made["metadata"]["accessId"]

    said = doors(rig, service_accounts=[bot])

    assert [one for one in said if key in one or victim in one], said


def test_a_key_of_another_account_is_no_proof(rig: Rig) -> None:
    """Somebody mixed up the secrets: the dead key of another account would be refused for ever."""
    bot, other = rig.account("bot"), rig.account("other")
    asked = {"name": f"projects/-/serviceAccounts/{other}"}
    key = rig.admin.call("iam_admin", "create_service_account_key", asked).private_key_data
    rig.secrets.held["proof"] = bytes(key)
    rig.admin.call("iam_admin", "disable_service_account", asked)

    step = proposal(rig.provider(service_accounts=[bot], agent_credentials={bot: "proof"}), DISABLE)

    assert step.best_grade is Grade.READ_BACK
    assert step.target.params["held"] is False


def test_a_token_that_is_refused_while_its_account_works_is_no_proof(rig: Rig) -> None:
    """A bare token names nobody: of an account that is enabled it must be answered when planning."""
    bot, other = rig.account("bot"), rig.account("other")
    rig.secrets.keep_token("proof", rig.token(other))
    asked = {"name": f"projects/-/serviceAccounts/{other}"}
    rig.admin.call("iam_admin", "disable_service_account", asked)

    step = proposal(rig.provider(service_accounts=[bot], agent_credentials={bot: "proof"}), DISABLE)

    assert step.best_grade is Grade.READ_BACK
    assert step.target.params["held"] is False


def test_a_rotation_hands_over_what_the_plan_names_and_nothing_that_came_later(rig: Rig) -> None:
    """An accomplice makes the dead account an owner, and waits for its successor to become one."""
    bot, heir = rig.account("bot", roles=["roles/viewer"]), rig.account("heir")
    provider = rig.provider(service_accounts=[bot], successors={bot: heir}, token_life_s=HOUR)
    action, target = provider.actions[DISABLE], proposal(provider, DISABLE).target
    prior, _ = close(action, target)
    rig.grant(f"serviceAccount:{bot}", "roles/owner")
    chosen = type(target)(target.kind, target.id, target.label, {**target.params, "tokens": "rotate"})

    undo(action, chosen, prior)

    policy = rig.admin.call("projects", "get_iam_policy", {"resource": f"projects/{rig.project}"})
    has = {one.role for one in policy.bindings if f"serviceAccount:{heir}" in one.members}
    assert has == {"roles/viewer"}


def test_a_successor_that_was_made_anew_since_the_plan_gets_nothing(rig: Rig) -> None:
    """Whoever may make accounts could take the heir's address."""
    bot, heir = rig.account("bot", roles=["roles/viewer"]), rig.account("heir")
    provider = rig.provider(service_accounts=[bot], successors={bot: heir}, token_life_s=HOUR)
    action, target = provider.actions[DISABLE], proposal(provider, DISABLE).target
    prior, _ = close(action, target)
    rig.admin.call("iam_admin", "delete_service_account", {"name": f"projects/-/serviceAccounts/{heir}"})
    rig.account("heir")
    chosen = type(target)(target.kind, target.id, target.label, {**target.params, "tokens": "rotate"})

    refused = ""
    try:
        undo(action, chosen, prior)
    except Exception as error:  # noqa: BLE001 - whichever error says so
        refused = str(error)

    policy = rig.admin.call("projects", "get_iam_policy", {"resource": f"projects/{rig.project}"})
    assert not [one for one in policy.bindings if f"serviceAccount:{heir}" in one.members]
    assert "another" in refused


def test_the_agents_key_may_not_send_the_executor_anywhere(rig: Rig) -> None:
    """A URL that a subject token is fetched from would be called before every proof."""
    bot = rig.account("bot")
    rig.secrets.held["proof"] = json.dumps(
        {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/p"
            "/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"url": "http://169.254.169.254/latest", "headers": {"x": "y"}},
        }
    ).encode()

    step = proposal(rig.provider(service_accounts=[bot], agent_credentials={bot: "proof"}), DISABLE)

    assert step.best_grade is Grade.READ_BACK
    assert "address" in str(step.target.params["no_proof"])


def test_an_api_key_that_the_agent_made_is_deleted_with_the_others(rig: Rig) -> None:
    """The log tells of the operation that makes it; what it is called is no text for a terminal."""
    bot = rig.account("bot", roles=["roles/owner"])
    parent = f"projects/{rig.project}/locations/global"
    for more in ({}, {"key_id": "mine"}):
        key = {"display_name": "a\x1b[31m[bold red]"}
        assert as_agent(rig, bot).operate("api_keys", "create_key", {"parent": parent, "key": key, **more})

    steps = rig.provider(service_accounts=[bot]).discover().proposals

    labels = [one.target.label for one in steps if one.action == "gcp.apikeys.delete_key"]
    assert len(labels) == 2
    assert all(one.isprintable() for one in labels)
