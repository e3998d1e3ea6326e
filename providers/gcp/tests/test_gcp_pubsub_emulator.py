"""Google's own Pub/Sub emulator answers as our sandbox does, and our actions do with it what they say.

Where the emulator is not to be had, these tests are skipped: it is a second opinion, nothing else needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import ProviderError
from breakglass.provider import Outcome
from breakglass_gcp.actions import pubsub_push, pubsub_snapshot
from breakglass_gcp.calls import Calls
from breakglass_gcp.messages import as_json
from breakglass_gcp.pace import Pace
from breakglass_gcp.refusals import code_of
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire
from providers.gcp.tests.emulator_gcp import emulator, listener, missing
from providers.gcp.tests.rig_gcp import Rig, close, endpoints, undo

_OWN = ("expiration_policy", "state", "expire_time", "labels", "message_ids")
"""What only the real service sets, and what is another one each time."""
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the emulator."""
    with emulator(tmp_path_factory.mktemp("emulator")) as url:
        yield url


def calls(url: str) -> Calls:
    """Return calls to the emulator, which asks nobody who he is."""
    settings = GcpSettings.of({"endpoints": {"grpc": url}})
    return Calls(Wire(settings, lambda: "nobody", drill=True), SystemClock(), Pace(SystemClock(), {}))


def told(made: Calls, service: str, method: str, **asked: Any) -> Any:  # noqa: ANN401 - JSON
    """Return an answer as both sides give it: a refusal's code, else what is no side's own."""
    try:
        answer = made.call(service, method, asked)
    except ProviderError as error:
        return code_of(error)
    if answer is None:
        return None
    if hasattr(answer, "pages"):
        return sorted(str(getattr(one, "name", one)) for one in answer)
    seen = {key: value for key, value in as_json(answer).items() if key not in _OWN}
    if isinstance(push := seen.get("push_config"), dict):
        push.pop("attributes", None)
    return seen


def pulled(made: Calls, subscription: str, wanted: int) -> dict[str, str]:
    """Return so much of what can be pulled, by what is in it, with the id to acknowledge it by."""
    found: dict[str, str] = {}
    for _ in range(4):
        answer = made.call("subscriptions", "pull", {"subscription": subscription, "max_messages": 20})
        found |= {one.message.data.decode(): one.ack_id for one in answer.received_messages}
        if len(found) >= wanted:
            break
    return found


def play(made: Calls, project: str) -> list[Any]:
    """Do all that our actions rely on; return what was answered."""
    topic, start = f"projects/{project}/topics/work", f"projects/{project}"
    inbox, snapshot = f"{start}/subscriptions/inbox", f"{start}/snapshots/before"
    push = {"push_endpoint": "http://127.0.0.1:1/x"}
    whole = {
        **push,
        "oidc_token": {"service_account_email": "a@b.iam.gserviceaccount.com", "audience": "bot"},
        "no_wrapper": {"write_metadata": True},
    }
    emptied = {"subscription": {"name": inbox, "push_config": {}}, "update_mask": {"paths": ["push_config"]}}
    done: list[Any] = [
        told(made, "topics", "create_topic", name=topic),
        told(made, "topics", "create_topic", name=topic),
        told(made, "subscriptions", "create_subscription", name=inbox, topic=topic, push_config=push),
        told(made, "subscriptions", "create_subscription", name=inbox, topic=topic),
        told(made, "subscriptions", "modify_push_config", subscription=inbox, push_config={}),
        told(made, "subscriptions", "get_subscription", subscription=inbox),
    ]
    for data in (b"a", b"b", b"c"):
        told(made, "topics", "publish", topic=topic, messages=[{"data": data}])
    taken = pulled(made, inbox, 3)
    done += [
        sorted(taken),
        told(made, "subscriptions", "create_snapshot", name=snapshot, subscription=inbox),
        told(made, "subscriptions", "create_snapshot", name=snapshot, subscription=inbox),
        told(made, "subscriptions", "get_snapshot", snapshot=snapshot),
        told(made, "subscriptions", "list_snapshots", project=start),
        told(made, "subscriptions", "acknowledge", subscription=inbox, ack_ids=list(taken.values())),
        told(made, "topics", "publish", topic=topic, messages=[{"data": b"d"}]),
        told(made, "subscriptions", "seek", subscription=inbox, snapshot=snapshot),
        sorted(pulled(made, inbox, 4)),
        told(made, "subscriptions", "modify_push_config", subscription=inbox, push_config=whole),
        told(made, "subscriptions", "get_subscription", subscription=inbox),
        told(made, "subscriptions", "update_subscription", **emptied),
        told(made, "topics", "list_topic_subscriptions", topic=topic),
        told(made, "subscriptions", "delete_snapshot", snapshot=snapshot),
        told(made, "subscriptions", "delete_snapshot", snapshot=snapshot),
        told(made, "subscriptions", "get_snapshot", snapshot=snapshot),
        told(made, "subscriptions", "modify_push_config", subscription=f"{inbox}-none", push_config={}),
        told(made, "subscriptions", "get_subscription", subscription=f"{inbox}-none"),
    ]
    return done


def test_the_emulator_and_our_sandbox_give_the_same_answers(rig: Rig, google: str) -> None:
    """From push to pull and back, with snapshots, seeks and refusals."""
    theirs = play(calls(google), rig.project)

    assert theirs == play(rig.admin, rig.project)


def test_our_action_pauses_a_push_of_the_emulator_and_no_message_is_lost(rig: Rig, google: str) -> None:
    """It pushes to a real server: nothing while it is stopped, all of it after the restore."""
    made = calls(google)
    topic, inbox = f"projects/{rig.project}/topics/pushed", f"projects/{rig.project}/subscriptions/pushed"
    made.call("topics", "create_topic", {"name": topic})
    provider = rig.provider(
        subscriptions=["pushed"],
        endpoints={**endpoints(rig.sandbox), "subscriptions": google, "topics": google},
    )
    with listener() as (url, got):
        push = {"push_endpoint": f"{url}?token=hunter2"}
        asked = {"name": inbox, "topic": topic, "push_config": push}
        made.call("subscriptions", "create_subscription", asked)
        before = as_json(made.call("subscriptions", "get_subscription", {"subscription": inbox}))
        made.call("topics", "publish", {"topic": topic, "messages": [{"data": b"zero"}]})
        _until(lambda: got == ["zero"])
        found = {one.action: one for one in provider.discover().proposals}
        action, step = provider.actions[pubsub_push.SPEC.name], found[pubsub_push.SPEC.name]
        prior, _ = close(action, step.target)
        sent = [f"message {n}" for n in range(30)]
        made.call("topics", "publish", {"topic": topic, "messages": [{"data": one.encode()} for one in sent]})
        snapshots, kept = provider.actions[pubsub_snapshot.SPEC.name], found[pubsub_snapshot.SPEC.name]
        taken, _ = close(snapshots, kept.target)
        time.sleep(1.5)
        stopped = list(got)

        undone = undo(action, step.target, prior).objects

        assert (stopped, undone) == (["zero"], {"push": Outcome.RESTORED})
        assert as_json(made.call("subscriptions", "get_subscription", {"subscription": inbox})) == before
        _until(lambda: set(got) == {"zero", *sent})
        assert undo(snapshots, kept.target, taken).objects == {"snapshot": Outcome.ALREADY}


def _until(holds: Callable[[], bool], at_most_s: float = 20) -> None:
    end_s = time.monotonic() + at_most_s
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)
