"""Compares a stop of many roles on the AWS sandbox with what the rates of IAM allow, and with bare boto3.

Prints ratios: calls sent to calls needed, time to what the rates need, CPU a call to that of boto3. Absolute
seconds mean nothing here: the sandbox and moto behind it share the cores with the stop.

usage: python benchmarks/bench_aws.py [ROLES ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from breakglass_aws.pace import BUDGETS, CALLS
from breakglass_aws.sandbox.process import start
from providers.aws.tests.rig_aws import EXECUTOR, Rig, Secrets
from providers.aws.tests.rig_scale import roles, stop

NEEDED_READS = 11
"""Of a role: who it is and what is attached, three times; once also the inline policy; the trust policy three
times; and the evaluator once."""
NEEDED_WRITES = 2
STEP_CALLS = 9
"""Of both steps of a role: observe, apply, observe, observe; and one probe."""
YARDSTICK = 200


def bound_s(count: int) -> float:
    """Return the least time that the rates allow: the tightest of reads, writes and the steps' own calls."""
    needs = (
        (CALLS["iam:read"], NEEDED_READS * count),
        (CALLS["iam:write"], NEEDED_WRITES * count),
        (BUDGETS["iam"], STEP_CALLS * count),
    )
    return max(max(0.0, calls - rate.burst) / rate.per_s for rate, calls in needs)


def bare_cpu_s(rig: Rig, name: str) -> float:
    """Return the CPU seconds of one bare boto3 call."""
    iam = rig.boto("iam")
    iam.get_role(RoleName=name)
    began_s = time.process_time()
    for _ in range(YARDSTICK):
        iam.get_role(RoleName=name)
    return (time.process_time() - began_s) / YARDSTICK


def measure(rig: Rig, count: int) -> None:
    """Stop so many roles and print the ratios."""
    names = roles(rig, count)
    bare_s = bare_cpu_s(rig, names[0])
    done = stop(rig, names, settle_factor="0.1")
    began_s = time.process_time()
    done.run()
    cpu_s = time.process_time() - began_s
    calls = [one for one in done.calls(done.planned) if one["service"] == "iam"]
    needed = (NEEDED_READS + NEEDED_WRITES) * count
    denied_s = done.first_s("aws.iam.deny_role", "calling")[-1]
    verdicts = Counter(verdict for _, verdict, _ in done.verdicts().elements())
    print(f"{count} roles, {len(done.plan.steps)} steps: {dict(verdicts)}")
    print(f"  calls when planning, a role     {(done.planned - done.since) / count:8.2f}")
    print(f"  calls sent / calls needed       {len(calls) / needed:8.2f}")
    print(f"  time / what the rates need      {done.ran_s / max(1.0, bound_s(count)):8.2f}")
    print(f"  time / what the plan said       {done.ran_s / done.plan.reaches[0].takes_s:8.2f}")
    print(f"  last deny / the whole run       {denied_s / done.ran_s:8.2f}")
    print(f"  CPU a call / that of boto3      {cpu_s / len(calls) / bare_s:8.2f}")


def main(counts: list[int]) -> None:
    """Measure each count on a sandbox of its own."""
    for count in counts:
        sandbox = start()
        secrets = Secrets()
        secrets.keep(EXECUTOR, {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"})
        try:
            with tempfile.TemporaryDirectory() as folder:
                measure(Rig(sandbox, Path(folder), secrets), count)
        finally:
            sandbox.close()


if __name__ == "__main__":
    main([int(item) for item in sys.argv[1:]] or [100])
