"""A whole stop at a real issuer: planned, executed by the engine, proven by what the issuer then does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass.model.action import Grade, Reversibility, Verdict
from breakglass.provider import Outcome
from breakglass_oauth.sandbox import Sandbox
from providers.oauth.tests.rig_oauth import DISABLE, REVOKE, Stop, connected, plan_stop


class Agent:
    """The agent's own folder, with its credential file."""

    def __init__(self, sandbox: Sandbox, folder: Path, *, as_json: bool = False) -> None:
        """Take a token and put it where the inventory says."""
        self.sandbox = sandbox
        self.pair = sandbox.mint()
        self.token = self.pair["access_token"]
        self.file = folder / "token"
        self.file.write_text(json.dumps(self.pair) if as_json else self.token + "\n")

    def settings(self, **more: Json) -> dict[str, Json]:
        """Return the reach entry of the inventory."""
        return {**self.sandbox.settings(self.file), "settle_s": "0", **more}

    def switches(self) -> dict[str, Json]:
        """Return the addresses that switch the client."""
        return {"disable_client": self.sandbox.disable_url(), "enable_client": self.sandbox.enable_url()}


@pytest.fixture
def agent(issuer: Sandbox, tmp_path: Path) -> Agent:
    """Give the agent a plain token."""
    return Agent(issuer, tmp_path)


def planned(agent: Agent, folder: Path, deadline_s: int = 6, /, **more: Json) -> Stop:
    """Plan the stop of an agent."""
    settings: Mapping[str, Json] = agent.settings(**more)
    return plan_stop(connected(agent.sandbox, settings, folder), settings, deadline_s=deadline_s)


def test_a_token_is_revoked_and_that_is_proven_by_introspection(agent: Agent, tmp_path: Path) -> None:
    """The step is contained by the issuer's own evaluator, a settle time after the last write."""
    stop = planned(agent, tmp_path / "inc", settle_s="1")
    assert agent.sandbox.effect("refund", agent.token) == 200
    history = stop.run()[REVOKE]

    assert (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR) == (history.verdict, history.grade)
    assert agent.sandbox.effect("refund", agent.token) == 401
    assert history.proven is not None
    assert history.read_back is not None
    assert history.proven.monotonic_us - history.read_back.monotonic_us >= 900_000


def test_with_a_probe_the_agent_is_refused(agent: Agent, tmp_path: Path) -> None:
    """Where the inventory names an address that takes the token, the proof is a refused call."""
    stop = planned(agent, tmp_path / "inc", probe_url=f"{agent.sandbox.issuer}/probe")
    history = stop.run()[REVOKE]

    assert (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT) == (history.verdict, history.grade)


def test_access_and_refresh_tokens_of_a_token_answer_are_both_revoked(
    issuer: Sandbox, tmp_path: Path
) -> None:
    """A JSON credential file holds two tokens; both end."""
    agent = Agent(issuer, tmp_path, as_json=True)
    stop = planned(agent, tmp_path / "inc")
    history = stop.run()[REVOKE]
    form = b"grant_type=refresh_token&refresh_token=" + agent.pair["refresh_token"].encode()
    form += f"&client_id=support-bot&client_secret={issuer.agent_secret}".encode()

    assert history.verdict is Verdict.CONTAINED
    assert len(history.prior) == 2
    assert issuer.effect("refund", agent.token) == 401
    assert issuer.call("POST", "/token", form)[0] == 400


def test_no_document_ever_holds_the_token(agent: Agent, tmp_path: Path) -> None:
    """Neither plan nor journal nor folder carries it, but for the sealed bytes, which are the executor's."""
    stop = planned(agent, tmp_path / "inc", probe_url=f"{agent.sandbox.issuer}/probe")
    stop.run()
    kept = [path for path in (tmp_path / "inc").rglob("*") if path.is_file()]
    holding = {path for path in kept if agent.token.encode() in path.read_bytes()}

    assert agent.token.encode() not in stop.documents()
    assert agent.sandbox.revoker_secret.encode() not in stop.documents()
    assert {"sealed"} == {path.parent.name for path in holding}
    assert {0o600} == {path.stat().st_mode & 0o777 for path in holding}
    assert agent.token not in repr(stop.provider.discover())


def test_the_client_can_mint_until_it_is_disabled(agent: Agent, tmp_path: Path) -> None:
    """Without a switch the door stays open whatever is revoked, and a minted token works on."""
    stop = planned(agent, tmp_path / "inc")
    second = agent.sandbox.mint()["access_token"]
    stop.run()
    (door,) = stop.plan.doors

    assert f"client support-bot can mint at {agent.sandbox.issuer}" == door.name
    assert (Verdict.NOT_CONTAINED, ()) == (door.verdict, door.closed_by)
    assert agent.sandbox.effect("refund", second) == 200


def test_disabling_the_client_closes_the_door_and_ends_minted_tokens(agent: Agent, tmp_path: Path) -> None:
    """A second token that was minted after planning ends with the client."""
    stop = planned(agent, tmp_path / "inc", disable_client=agent.sandbox.disable_url())
    second = agent.sandbox.mint()["access_token"]
    histories = stop.run()

    assert {Verdict.CONTAINED} == {history.verdict for history in histories.values()}
    assert histories[DISABLE].grade is Grade.READ_BACK
    assert (stop.step(DISABLE).n,) == stop.plan.doors[0].closed_by
    assert agent.sandbox.effect("refund", second) == 401


def test_the_plan_says_that_a_revocation_cannot_be_undone(agent: Agent, tmp_path: Path) -> None:
    """Restore says that a new token must be issued, and where."""
    stop = planned(agent, tmp_path / "inc")
    stop.run()
    reversal = stop.revert(REVOKE)

    assert stop.step(REVOKE).reversibility is Reversibility.NONE
    assert "a new token must be issued" in stop.step(REVOKE).undo
    assert [Outcome.CANNOT] == list(reversal.objects.values())
    assert f"a new token must be issued at {agent.sandbox.issuer}" == reversal.reason


def test_a_client_is_enabled_again_where_the_issuer_offers_that(agent: Agent, tmp_path: Path) -> None:
    """Compare-and-set: enabled once, then already so; ended tokens stay ended."""
    urls: dict[str, Json] = {
        "disable_client": agent.sandbox.disable_url(),
        "enable_client": agent.sandbox.enable_url(),
    }
    stop = planned(agent, tmp_path / "inc", **urls)
    stop.run()
    first, second = stop.revert(DISABLE), stop.revert(DISABLE)

    assert [Outcome.RESTORED] == list(first.objects.values())
    assert [Outcome.ALREADY] == list(second.objects.values())
    assert agent.sandbox.effect("refund", agent.token) == 401
    assert agent.sandbox.effect("refund", agent.sandbox.mint()["access_token"]) == 200


def test_a_client_that_was_disabled_before_stays_disabled(agent: Agent, tmp_path: Path) -> None:
    """Undo never revives what was off before the stop."""
    first = planned(agent, tmp_path / "a", disable_client=agent.sandbox.disable_url())
    first.run()
    urls: dict[str, Json] = {
        "disable_client": agent.sandbox.disable_url(),
        "enable_client": agent.sandbox.enable_url(),
    }
    again = planned(agent, tmp_path / "b", **urls)
    again.run()

    assert [Outcome.CANNOT] == list(first.revert(DISABLE).objects.values())
    assert [] == list(replayed(again))
    assert agent.sandbox.call("POST", "/token", b"grant_type=client_credentials")[0] == 401


def replayed(stop: Stop) -> Mapping[str, Json]:
    """Return what the stop changed at the client: nothing was written before a change, so nothing changed."""
    n = stop.step(DISABLE).n
    found = [record.body for record in stop.journal.records if record.type == "step.intent"]
    return {str(key): value for body in found if body["step"] == n for key, value in dict(body).items()}


def test_a_file_that_is_set_aside_changes_nothing(agent: Agent, tmp_path: Path) -> None:
    """The host provider may withhold the file first: the sealed token stands for it."""
    stop = planned(agent, tmp_path / "inc")
    agent.file.rename(tmp_path / "set-aside")

    assert stop.run()[REVOKE].verdict is Verdict.CONTAINED
    assert agent.sandbox.effect("refund", agent.token) == 401


def test_a_token_that_is_swapped_after_planning_ends_beside_the_planned_one(
    agent: Agent, tmp_path: Path
) -> None:
    """The step is closed over what lies in the file when it runs, and over what lay there when planning."""
    stop = planned(agent, tmp_path / "inc")
    second = agent.sandbox.mint()["access_token"]
    agent.file.write_text(second)
    history = stop.run()[REVOKE]

    assert history.verdict is Verdict.CONTAINED
    assert len(history.prior) == 2
    assert [401, 401] == [agent.sandbox.effect("refund", token) for token in (agent.token, second)]


def test_an_executor_without_the_sealed_bytes_finds_the_token_by_its_check(
    agent: Agent, tmp_path: Path
) -> None:
    """A plan made elsewhere still works: the commitment in the plan recognises the token in the file."""
    stop = planned(agent, tmp_path / "here")
    elsewhere = connected(agent.sandbox, stop.settings, tmp_path / "there")
    history = stop.run(elsewhere)[REVOKE]

    assert history.verdict is Verdict.CONTAINED
    assert len(history.prior) == 1


def test_a_planned_token_that_nobody_can_read_any_more_is_unknown(agent: Agent, tmp_path: Path) -> None:
    """Neither sealed here nor in the file: never contained."""
    stop = planned(agent, tmp_path / "here", 1)
    agent.file.write_text(agent.sandbox.mint()["access_token"])
    elsewhere = connected(agent.sandbox, stop.settings, tmp_path / "there")
    history = stop.run(elsewhere)[REVOKE]

    assert history.verdict is Verdict.UNKNOWN
    assert "neither sealed here" in history.reason


def test_a_missing_token_is_said_when_planning_and_never_contained(agent: Agent, tmp_path: Path) -> None:
    """The inventory names a file that is not there: said before anybody signs, and the step is unknown."""
    agent.file.unlink()
    settings = agent.settings()
    provider = connected(agent.sandbox, settings, tmp_path / "inc")
    discovery = provider.discover()

    assert any("is not there" in item.reason for item in discovery.not_touched)
    assert plan_stop(provider, settings, deadline_s=1).run()[REVOKE].verdict is Verdict.UNKNOWN


def test_a_token_of_another_client_is_never_revoked(issuer: Sandbox, tmp_path: Path) -> None:
    """An agent that puts somebody else's token into its file does not make us revoke it."""
    agent = Agent(issuer, tmp_path)
    settings = agent.settings(client_id="another-bot")
    stop = plan_stop(connected(issuer, settings, tmp_path / "inc"), settings, deadline_s=1)
    history = stop.run()[REVOKE]

    assert history.verdict is Verdict.NOT_CONTAINED
    assert "another client" in history.reason
    assert issuer.effect("refund", agent.token) == 200
    assert any("its owner must revoke it" in item.reason for item in stop.plan.not_touched)


@pytest.mark.parametrize(
    "fault", [{"endpoint": "revoke", "kind": "lie"}, {"endpoint": "introspect", "kind": "active"}]
)
def test_an_issuer_that_answers_200_and_stays_active_is_not_contained(
    agent: Agent, tmp_path: Path, fault: Mapping[str, str]
) -> None:
    """An accepted revocation proves nothing: what the issuer says afterwards does."""
    stop = planned(agent, tmp_path / "inc", 1)
    agent.sandbox.set_faults(fault)
    history = stop.run()[REVOKE]

    assert history.verdict is Verdict.NOT_CONTAINED
    assert "still accepted" in history.reason


def test_a_probe_that_still_gets_through_beats_introspection(agent: Agent, tmp_path: Path) -> None:
    """An issuer that calls the token inactive while the downstream system takes it: not contained."""
    stop = planned(agent, tmp_path / "inc", 1, probe_url=f"{agent.sandbox.issuer}/probe")
    agent.sandbox.set_faults({"endpoint": "probe", "kind": "lie"})
    history = stop.run()[REVOKE]

    assert history.verdict is Verdict.NOT_CONTAINED


def test_an_issuer_that_disables_in_words_only_keeps_the_door_open(agent: Agent, tmp_path: Path) -> None:
    """200 to the switch, and the client still enabled: not contained, and the door is not closed."""
    stop = planned(agent, tmp_path / "inc", 1, disable_client=agent.sandbox.disable_url())
    agent.sandbox.set_faults({"endpoint": "switch", "kind": "lie"})

    assert stop.run()[DISABLE].verdict is Verdict.NOT_CONTAINED
    assert agent.sandbox.effect("refund", agent.sandbox.mint()["access_token"]) == 200


def test_an_issuer_in_trouble_is_asked_again_until_it_works(agent: Agent, tmp_path: Path) -> None:
    """500, 429 and dropped connections pass; the stop ends contained."""
    stop = planned(agent, tmp_path / "inc")
    agent.sandbox.set_faults(
        {"endpoint": "revoke", "kind": "error", "times": 2},
        {"endpoint": "introspect", "kind": "throttle", "seconds": 0.1, "times": 2},
        {"endpoint": "introspect", "kind": "reset", "times": 2},
        {"endpoint": "introspect", "kind": "garbage", "times": 1},
    )

    assert stop.run()[REVOKE].verdict is Verdict.CONTAINED
    assert agent.sandbox.effect("refund", agent.token) == 401


def test_an_issuer_that_is_down_is_unknown(agent: Agent, tmp_path: Path) -> None:
    """Nobody answers until the deadline: unknown, never contained."""
    stop = planned(agent, tmp_path / "inc", 1)
    agent.sandbox.set_faults(
        {"endpoint": "introspect", "kind": "error"}, {"endpoint": "revoke", "kind": "error"}
    )

    assert stop.run()[REVOKE].verdict is Verdict.UNKNOWN


def test_without_introspection_the_best_grade_is_none_and_the_step_stays_unknown(
    agent: Agent, tmp_path: Path
) -> None:
    """The token is revoked, but nobody says so: the plan says that before anyone signs."""
    agent.sandbox.set_faults({"endpoint": "introspect", "kind": "missing"})
    stop = planned(agent, tmp_path / "inc", 1)
    history = stop.run()[REVOKE]

    assert stop.step(REVOKE).best_grade is Grade.NONE
    assert any("cannot be read back" in item.reason for item in stop.plan.not_touched)
    assert history.verdict is Verdict.UNKNOWN
    assert agent.sandbox.effect("refund", agent.token) == 401


def test_without_introspection_a_refused_call_is_proof(agent: Agent, tmp_path: Path) -> None:
    """The probe alone is enough, and is the strongest grade."""
    agent.sandbox.set_faults({"endpoint": "introspect", "kind": "missing"})
    stop = planned(agent, tmp_path / "inc", probe_url=f"{agent.sandbox.issuer}/probe")
    history = stop.run()[REVOKE]

    assert stop.step(REVOKE).best_grade is Grade.REFUSED_AS_AGENT
    assert (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT) == (history.verdict, history.grade)


@pytest.mark.parametrize("path", ["/admin/clients/support-bot", "/nowhere"])
def test_a_probe_that_never_takes_the_token_is_not_used(agent: Agent, tmp_path: Path, path: str) -> None:
    """An address that refuses the live token as well would prove nothing afterwards; the plan says so."""
    stop = planned(agent, tmp_path / "inc", probe_url=f"{agent.sandbox.issuer}{path}")

    assert stop.step(REVOKE).target.params["probe_url"] is None
    assert any("would prove nothing" in item.reason for item in stop.plan.not_touched)
    assert stop.run()[REVOKE].grade is Grade.PLATFORM_EVALUATOR


def test_a_bogus_refresh_token_in_the_file_does_not_keep_the_step_open(agent: Agent, tmp_path: Path) -> None:
    """The agent cannot make the proof unreachable by writing rubbish beside its token."""
    stop = planned(agent, tmp_path / "inc", probe_url=f"{agent.sandbox.issuer}/probe")
    agent.file.write_text(json.dumps({"access_token": agent.token, "refresh_token": "rubbish"}))

    assert stop.run()[REVOKE].verdict is Verdict.CONTAINED
