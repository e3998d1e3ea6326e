"""Whole stops whose kit names a mirror in S3: the journal ends up there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from breakglass.execute.context import StepEvent
from breakglass.journal.mirroring import MAX_SEGMENT_BYTES, Mirroring
from breakglass.journal.sealing import verify_folder
from breakglass.model.plan import Plan, plan_digest
from breakglass.usecases.mirrors import open_mirrors
from breakglass_aws.executor import READ_S
from tests.aws.cloud_fleet import Cloud, said
from tests.aws.mirrored import BUCKET, OTHER, bodies, joined, make_bucket, mirrored, objects
from tests.hosts.fleet import Fleet


def verified(ours: Fleet, folder: Path) -> str:
    """Return what `breakglass journal verify` says of a folder."""
    words = [sys.executable, "-m", "breakglass", "journal", "verify", str(folder)]
    environ = {**os.environ, "BREAKGLASS_KIT": str(ours.grounds.kit)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_journal_of_a_stop_ends_up_on_its_mirror(cloud: Cloud, tmp_path: Path) -> None:
    """Segment by segment, byte for byte, beside a claim; the copy alone verifies."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, _):
        plan, done = ours.stop()
        assert done.report.verdict == "contained", said(done.report)
        assert done.unmirrored == ()
        found = objects(cloud)
        own = ours.incident.journal.read_bytes()
        assert joined(found) == own
        digest = plan_digest(ours.incident.plan.read_bytes())
        claim = json.loads(found[f"claims/{digest}"])["claim"]
        assert (claim["plan_sha256"], claim["incident"]) == (digest, plan.incident)
        assert [one["ok"] for one in bodies(ours.incident, "mirror.claimed")] == [True]

        (tmp_path / "journal.jsonl").write_bytes(joined(found))
        for name in ("checkpoint", "checkpoint.sig", "log.pub"):
            (tmp_path / name).write_bytes(found[f"journals/{plan.incident}/{name}"])
        roster = ours.site.trusted_roster(highest_seen=0).roster
        check = verify_folder(tmp_path, roster.executors[0].log_key)
        assert check.ok
        assert check.signature_ok
        assert verified(ours, tmp_path).startswith("ok: ")
        (tmp_path / "journal.jsonl").write_bytes(own.replace(b"rogue", b"tough", 1))
        assert not verify_folder(tmp_path, roster.executors[0].log_key).ok


def test_a_mirror_that_hangs_costs_a_stop_no_more_than_it_may(cloud: Cloud) -> None:
    """It neither delays the plan nor, by more than 1.5 s, the first change."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, _):
        at: dict[str, float] = {}

        def began(_event: StepEvent) -> None:
            at.setdefault("step", time.monotonic())

        def planned(_plan: Plan) -> None:
            at.setdefault("planned", time.monotonic())

        cloud.faults({"service": "s3", "operation": "*", "answer": "hang", "times": 99})
        issued = time.monotonic()
        _, done = ours.stop(observer=began, planned=planned)
        assert done.report.verdict == "contained", said(done.report)
        # Whoever waits for one call to this mirror waits as long as a call may.
        assert at["planned"] - issued < READ_S
        assert at["step"] - at["planned"] < READ_S
        (claimed,) = bodies(ours.incident, "mirror.claimed")
        assert (claimed["ok"], claimed["detail"]) == (False, "no answer within 1.5 s")
        assert len(done.unmirrored) == 1


def test_a_mirror_that_comes_back_gets_the_whole_journal(cloud: Cloud) -> None:
    """The bucket is made while the stop runs: claimed nowhere, copied in the end."""
    with mirrored(cloud, BUCKET) as (ours, _):
        made: list[bool] = []

        def late(_event: StepEvent) -> None:
            if not made:
                made.append(True)
                make_bucket(cloud)

        _, done = ours.stop(observer=late)
        assert done.report.verdict == "contained", said(done.report)
        assert done.unmirrored == ()
        assert joined(objects(cloud)) == ours.incident.journal.read_bytes()
        (claimed,) = bodies(ours.incident, "mirror.claimed")
        assert "no bucket" in str(claimed["detail"])


def test_of_two_mirrors_one_is_down(cloud: Cloud) -> None:
    """The stop runs, the other holds all, and the one that is down is named."""
    make_bucket(cloud)
    with mirrored(cloud, OTHER, BUCKET) as (ours, _):
        _, done = ours.stop()
        assert done.report.verdict == "contained", said(done.report)
        assert [line.partition(":")[0] for line in done.unmirrored] == [f"s3 bucket {OTHER}"]
        assert joined(objects(cloud)) == ours.incident.journal.read_bytes()
        assert [one["ok"] for one in bodies(ours.incident, "mirror.claimed")] == [False, True]


def test_a_record_longer_than_a_segment_is_copied_whole(cloud: Cloud, tmp_path: Path) -> None:
    """It is neither left behind nor cut."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, _):
        journal = tmp_path / "journal.jsonl"
        journal.write_bytes(b"1\n" + b"2" * (MAX_SEGMENT_BYTES + 100) + b"\n3\n")
        copying = Mirroring(open_mirrors(ours.site).open, journal, "journals/long")
        assert copying.finish({}, within_s=20) == []
        assert joined(objects(cloud, "journals/long")) == journal.read_bytes()
        journal.unlink()
        assert copying.finish({}, within_s=20) != []
