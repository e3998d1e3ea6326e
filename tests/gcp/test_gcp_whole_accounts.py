"""Whole stops of service accounts: proven by their tokens, fought over, restored without reviving one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass_gcp.calls import Calls
from breakglass_gcp.drill_layout import calls_as
from breakglass_gcp.refusals import Unauthenticated
from tests.gcp.project_fleet import WORK, Cloud, project_fleet, said

QUICK = "0.002"
"""A settle time of 420 s takes 0.84 s."""
DISABLE = "gcp.iam.disable_service_account"
HELD = "agent-key"
HOUR: Mapping[str, Json] = {"token_life_s": "3600"}
CREATOR = "roles/iam.serviceAccountTokenCreator"


def agent_of(cloud: Cloud, name: str = "rogue") -> str:
    """Make an account of the agent's that works in the project."""
    return cloud.account(name, cloud.role(name, WORK))


def works(calls: Calls, cloud: Cloud) -> bool:
    """Tell whether a call with a token is answered; one that is refused as unauthenticated is not."""
    try:
        calls.call("projects", "get_project", {"name": f"projects/{cloud.project}"})
    except Unauthenticated:
        return False
    return True


def set_account(cloud: Cloud, email: str, verb: str) -> None:
    """Enable, disable or delete an account as the owner."""
    cloud.admin.call("iam_admin", f"{verb}_service_account", {"name": f"projects/-/serviceAccounts/{email}"})


@contextmanager
def all_the_time(act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, as somebody would who fights the stop."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.02):
            try:
                act()
            except ProviderError:
                continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_an_account_is_proven_dead_by_its_own_token_and_restored_without_reviving_it(cloud: Cloud) -> None:
    """The stolen token is refused from the stop on, and has ended by itself when the account is enabled."""
    email = agent_of(cloud)
    cloud.held[HELD] = cloud.key(email)
    stolen = calls_as(cloud.sandbox, cloud.token(email, life_s=2))
    before = cloud.state()
    assert works(stolen, cloud)
    reach = cloud.reach(service_accounts=[email], agent_credentials={email: HELD}, settle_factor=QUICK)
    with project_fleet(cloud, reach) as ours:
        _, done = ours.stop(began=SystemClock().now())
        assert done.report.verdict is Verdict.CONTAINED, said(done.report)
        grades = {one.action: one.grade for one in done.report.steps}
        assert grades[DISABLE] is Grade.REFUSED_AS_AGENT
        assert not works(stolen, cloud)
        _, back = ours.restore()
        assert back.verdict is Verdict.CONTAINED, said(back)
    assert not works(stolen, cloud)
    assert cloud.state() == before
    stolen.close()


def test_a_rotation_does_not_wait_and_leaves_the_old_account_dead(cloud: Cloud) -> None:
    """Its successor has its rights; a token of before never works again."""
    email, new = agent_of(cloud), cloud.account("rogue-two")
    stolen = calls_as(cloud.sandbox, cloud.token(email))
    reach = cloud.reach(service_accounts=[email], successors={email: new}, settle_factor=QUICK, **HOUR)
    with project_fleet(cloud, reach) as ours:
        _, done = ours.stop()
        assert done.report.verdict is Verdict.CONTAINED, said(done.report)
        _, back = ours.restore(tokens="rotate")
        assert back.verdict is Verdict.CONTAINED, said(back)
    assert not works(stolen, cloud)
    heir = calls_as(cloud.sandbox, cloud.token(new))
    assert works(heir, cloud)
    stolen.close()
    heir.close()


def test_who_enables_the_account_all_the_time_is_never_reported_contained(cloud: Cloud) -> None:
    """A second identity of the agent's that nobody knows fights for the first."""
    email = agent_of(cloud)
    cloud.held[HELD] = cloud.key(email)
    reach = cloud.reach(service_accounts=[email], agent_credentials={email: HELD}, settle_factor=QUICK)
    with (
        project_fleet(cloud, reach, step_s=3) as ours,
        all_the_time(lambda: set_account(cloud, email, "enable")),
    ):
        _, done = ours.stop()
    assert done.report.verdict is not Verdict.CONTAINED, said(done.report)


def test_keys_that_the_agent_makes_while_people_sign_end_disabled(cloud: Cloud) -> None:
    """They were recorded before they were touched, and the restore does not give them back."""
    email = agent_of(cloud)
    first = cloud.key(email)
    made: list[bytes] = []
    with project_fleet(cloud, cloud.reach(service_accounts=[email], settle_factor=QUICK)) as ours:
        _, done = ours.stop(began=SystemClock().now(), planned=lambda _: made.append(cloud.key(email)))
        assert done.report.verdict is Verdict.CONTAINED, said(done.report)
        _, back = ours.restore()
    assert back.verdict is Verdict.CONTAINED, said(back)
    keys = cloud.state()["iam_keys"][email]
    assert sorted(keys.values()) == [False, True]
    assert len(made) == 1
    assert first != made[0]


def test_a_policy_that_somebody_writes_all_the_time_is_not_contained(cloud: Cloud) -> None:
    """Each write of ours is refused for its etag until the deadline."""
    email = agent_of(cloud)
    resource = f"projects/{cloud.project}/serviceAccounts/{email}"
    policy = {"bindings": [{"role": CREATOR, "members": ["user:a@example.com"]}]}
    cloud.admin.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": policy})
    reach = cloud.reach(service_accounts=[email], settle_factor=QUICK)
    with project_fleet(cloud, reach, step_s=3) as ours:
        cloud.faults({"method": "*IAM/SetIamPolicy", "code": "ABORTED"})
        _, done = ours.stop()
        cloud.faults()
    step = next(one for one in done.report.steps if one.action == "gcp.iam.remove_impersonation")
    assert step.verdict is not Verdict.CONTAINED, said(done.report)


def test_an_account_that_is_deleted_and_made_again_meanwhile_is_unknown(cloud: Cloud) -> None:
    """The new one is not the plan's; nobody may be told that the agent is contained."""
    email = agent_of(cloud)

    def remake(_: object) -> None:
        set_account(cloud, email, "delete")
        cloud.account("rogue")

    started_s = time.monotonic()
    with project_fleet(cloud, cloud.reach(service_accounts=[email], settle_factor=QUICK)) as ours:
        _, done = ours.stop(planned=remake)
    assert done.report.verdict is not Verdict.CONTAINED, said(done.report)
    step = next(one for one in done.report.steps if one.action == DISABLE)
    assert "another account" in step.reason
    assert time.monotonic() - started_s < 30
    account = cloud.admin.call(
        "iam_admin", "get_service_account", {"name": f"projects/-/serviceAccounts/{email}"}
    )
    assert not account.disabled
