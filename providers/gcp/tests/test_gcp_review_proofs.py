"""What is held for proof is refused for another reason than the stop: that proves nothing of it."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from breakglass.model.action import Grade, Verdict
from providers.gcp.tests.feeds_gcp import subscription, topic
from providers.gcp.tests.rig_gcp import Rig, close, proposal
from providers.gcp.tests.test_gcp_keys import ACTION as KEYS
from providers.gcp.tests.test_gcp_keys import made, set_key
from providers.gcp.tests.test_gcp_pubsub_policies import PULL, SUBSCRIBER


def test_a_key_that_never_gave_a_token_is_no_proof(rig: Rig) -> None:
    """Its private half may be another key's: it is refused whatever is done."""
    email, other = rig.account("bot"), rig.account("other")
    _, body = made(rig, email)
    _, wrong = made(rig, other)
    mixed = {**json.loads(body), "private_key": json.loads(wrong)["private_key"]}
    rig.secrets.held["bot-key"] = json.dumps(mixed).encode()

    step = proposal(rig.provider(service_accounts=[email], agent_credentials={email: "bot-key"}), KEYS)

    assert (step.best_grade, step.target.params["held_key"]) == (Grade.READ_BACK, "")


def test_a_key_that_is_refused_for_a_wrong_clock_still_works(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that jumps while the stop runs would else prove that every key is dead."""
    email = rig.account("bot")
    _, body = made(rig, email)
    rig.secrets.held["bot-key"] = body
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "bot-key"})
    step = proposal(provider, KEYS)
    late = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(hours=3)
    monkeypatch.setattr("google.auth._helpers.utcnow", lambda: late)

    told = provider.actions[KEYS].probe(step.target)

    assert told is not None
    assert (told.verdict, told.grade) == (Verdict.UNKNOWN, Grade.NONE)
    assert "clock" in told.reason


def test_a_token_that_has_ended_does_not_prove_that_the_agent_pulls_no_more(rig: Rig) -> None:
    """By a role of the project it does, with a token of today."""
    agent = rig.account("bot", roles=[SUBSCRIBER])
    topic(rig)
    subscription(rig)
    rig.secrets.keep_token("proof", rig.token(agent, life_s=0.05))
    provider = rig.provider(
        subscriptions=["inbox"], service_accounts=[agent], agent_credentials={agent: "proof"}
    )
    found = proposal(provider, PULL)
    provider.project.connection.clock.sleep(0.1)

    told = provider.actions[PULL].probe(found.target)

    assert told is not None
    assert (told.verdict, told.grade) == (Verdict.UNKNOWN, Grade.NONE)


def test_a_key_that_the_agent_disabled_itself_does_not_prove_that_it_pulls_no_more(rig: Rig) -> None:
    """It knows which key somebody else holds a copy of, and has others."""
    agent = rig.account("bot", roles=[SUBSCRIBER])
    key, body = made(rig, agent)
    topic(rig)
    name = subscription(rig)
    rig.secrets.held["proof"] = body
    provider = rig.provider(
        subscriptions=["inbox"], service_accounts=[agent], agent_credentials={agent: "proof"}
    )
    found = proposal(provider, PULL)
    close(provider.actions[PULL], found.target)
    set_key(rig, agent, key, "disable")

    told = provider.actions[PULL].probe(found.target)
    rig.calls_as(rig.token(agent)).call("subscriptions", "pull", {"subscription": name, "max_messages": 1})

    assert told is not None
    assert told.verdict is Verdict.UNKNOWN
