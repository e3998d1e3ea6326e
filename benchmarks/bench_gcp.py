"""Compares planning and stopping of accounts in the GCP sandbox with bare calls of Google's own client.

Prints ratios: calls sent when planning to calls that anybody needs, time of the critical path (look, disable,
look again) to that of the same calls made bare, one after another and eight at once, CPU a call. So many are
planned, and at most fifteen of them stopped: those fit into the burst, so that the rate limit is not what is
measured. Absolute seconds mean nothing: the sandbox shares the cores.

usage: python benchmarks/bench_gcp.py [ACCOUNTS ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from breakglass.provider import Action, Proposal
from breakglass_gcp.sandbox.process import start
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig

DISABLE = "gcp.iam.disable_service_account"
WORKERS = 8
PLENTY = 1_000_000
NEEDED_ONCE = 4
"""Whose project it is, who is granted what in it, what the executor may, and its accounts (a page of 100)."""
NEEDED_EACH = 2
"""Of an account: its keys, who may act as it."""
MOST = 15
"""Two ways of stopping so many stay below the burst of writes (`pace.py`: 40)."""
CRITICAL = 3
"""Of an account: a look, the call that disables it, a look."""


def accounts(rig: Rig, count: int) -> list[str]:
    """Make so many accounts that may read the project; return their addresses."""
    names = [f"bot-{n:04d}" for n in range(count)]

    def make(name: str) -> None:
        asked = {"name": f"projects/{rig.project}", "account_id": name, "service_account": {}}
        rig.admin.call("iam_admin", "create_service_account", asked)

    side_by_side(names, make)
    emails = [rig.email(name) for name in names]
    resource = f"projects/{rig.project}"
    policy = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/viewer", members=[f"serviceAccount:{one}" for one in emails])
    rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})
    return emails


def side_by_side(items: Sequence[Any], act: Callable[[Any], object]) -> None:
    """Do something for each, several at once."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(act, items))


def one_by_one(items: Sequence[Any], act: Callable[[Any], object]) -> None:
    """Do something for each."""
    for item in items:
        act(item)


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return seconds and CPU seconds."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    act()
    return time.monotonic() - began_s, time.process_time() - cpu_s


def bare(rig: Rig) -> Callable[[str], None]:
    """Return what does the critical path of one account with nothing but Google's own client."""
    import grpc
    from google.cloud import iam_admin_v1
    from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport

    channel = grpc.insecure_channel(rig.sandbox.grpc.removeprefix("http://"))
    client = iam_admin_v1.IAMClient(transport=IAMGrpcTransport(channel=channel))
    who = [("authorization", f"Bearer {rig.token(rig.email(EXECUTOR))}")]

    def disable(email: str) -> None:
        asked = {"name": f"projects/-/serviceAccounts/{email}"}
        client.get_service_account(request=asked, metadata=who)
        client.disable_service_account(request=asked, metadata=who)
        client.get_service_account(request=asked, metadata=who)

    return disable


def ours(action: Action) -> Callable[[Proposal], None]:
    """Return what a round of the step does, between two looks."""

    def disable(found: Proposal) -> None:
        state = action.observe(found.target)
        action.apply(found.target, state, "bench")
        judged = action.judge(found.target, action.observe(found.target))
        if judged.verdict.value != "contained":
            raise RuntimeError(f"{found.target.id}: {judged.reason}")

    return disable


def enable(rig: Rig, emails: Sequence[str]) -> None:
    """Let all of them work again."""
    names = [{"name": f"projects/-/serviceAccounts/{one}"} for one in emails]
    side_by_side(names, lambda asked: rig.admin.call("iam_admin", "enable_service_account", asked))


def measure(rig: Rig, count: int) -> None:
    """Plan and stop so many; print the ratios."""
    emails = accounts(rig, count)
    provider = rig.provider(service_accounts=[*emails])
    provider.discover()  # what is imported with the first call is no part of it
    began = len(rig.sandbox.control("calls", {}))
    plan_s, _ = timed(provider.discover)
    planned = [
        one
        for one in rig.sandbox.control("calls", {"since": began})
        if one["principal"] == rig.email(EXECUTOR)
    ]
    steps = [one for one in provider.discover().proposals if one.action == DISABLE]
    if len(steps) != count:
        raise RuntimeError(f"{len(steps)} steps for {count} accounts")
    emails, steps = emails[:MOST], steps[:MOST]
    by_bare, by_ours = bare(rig), ours(provider.actions[DISABLE])
    by_bare(emails[0])
    enable(rig, emails[:1])
    took: dict[str, tuple[float, float]] = {}
    for name, act, items in (("bare", by_bare, emails), ("ours", by_ours, steps)):
        for way, run in (("row", one_by_one), ("side", side_by_side)):
            took[f"{name} {way}"] = timed(lambda run=run, act=act, items=items: run(items, act))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
            enable(rig, emails)
    needed = NEEDED_ONCE + NEEDED_EACH * count
    plan_bare_s = took["bare row"][0] / CRITICAL / len(emails) * len(planned)
    cpu = took["ours row"][1] / took["bare row"][1]
    row, side = (took[f"ours {way}"][0] / took[f"bare {way}"][0] for way in ("row", "side"))
    print(f"{count} accounts, each granted something in the project")
    print(f"  calls when planning / calls needed               {len(planned) / needed:8.2f}")
    print(f"  time to plan / that of as many bare calls        {plan_s / plan_bare_s:8.2f}")
    print(f"  critical path / bare, one after another          {row:8.2f}")
    print(f"  critical path / bare, {WORKERS} at once                  {side:8.2f}")
    print(f"  CPU a call / that of the bare client             {cpu:8.2f}")


def main(counts: list[int]) -> None:
    """Measure each count in a sandbox of its own."""
    for count in counts:
        sandbox = start()
        try:
            sandbox.control("settings", {"iam_writes_per_min": PLENTY, "iam_reads_per_min": PLENTY})
            with tempfile.TemporaryDirectory() as folder:
                rig = Rig.new(sandbox, Path(folder))
                measure(rig, count)
                rig.close()
        finally:
            sandbox.close()


if __name__ == "__main__":
    main([int(item) for item in sys.argv[1:]] or [1, 50])
