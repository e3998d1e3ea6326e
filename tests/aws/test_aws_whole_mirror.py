"""Whole stops whose kit names a mirror in S3: the plan is claimed there, and the journal ends up there."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from breakglass.canon import Json, canonical, sha256
from breakglass.errors import NotAuthorised
from breakglass.execute.context import StepEvent
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.mirroring import MAX_SEGMENT_BYTES, Mirroring
from breakglass.journal.reader import read_journal
from breakglass.journal.sealing import verify_folder
from breakglass.journal.writer import Journal
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import Plan, plan_digest
from breakglass.usecases.claims import claim_of
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.contain import finish, open_signed
from breakglass.usecases.kit_signing import kit_sign
from breakglass.usecases.mirrors import Claim, open_mirrors
from breakglass.usecases.run import Finished
from breakglass.usecases.site import open_site
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from tests.aws.cloud_fleet import Cloud, Keys, cloud_fleet, said
from tests.hosts.fleet import CLOCK, Fleet, quiet

BUCKET, OTHER = "acme-breakglass", "acme-second"


def make_bucket(cloud: Cloud, name: str = BUCKET) -> None:
    """Make one with Object Lock, as the account's administrator."""
    where = {"LocationConstraint": REGION}
    cloud.boto("s3").create_bucket(
        Bucket=name, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=where
    )


def writer(cloud: Cloud) -> Keys:
    """Make the user that writes to mirrors, with the rights that the mirror declares."""
    from breakglass_aws.mirror import PERMISSIONS

    statement = {"Effect": "Allow", "Action": list(PERMISSIONS), "Resource": "*"}
    return cloud.user("mirror", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@contextmanager
def mirrored(cloud: Cloud, *buckets: str) -> Iterator[tuple[Fleet, Keys]]:
    """Have an agent, a user, and a kit that names these buckets as mirrors."""
    agent = cloud.user()
    with cloud_fleet(cloud, cloud.reach(users=["rogue"]), held={"mirror": writer(cloud)}) as ours:
        yield with_mirrors(ours, cloud, buckets), agent


def with_mirrors(ours: Fleet, cloud: Cloud, buckets: tuple[str, ...]) -> Fleet:
    """Name the mirrors in the kit and have two operators sign it."""
    kit = ours.grounds.kit / "breakglass.yaml"
    entry = {
        "provider": "aws",
        "account": ACCOUNT,
        "region": REGION,
        "endpoint": cloud.sandbox.endpoint,
        "credential": "mirror",
    }
    whole = json.loads(kit.read_text(encoding="utf-8"))
    whole["version"] = 2
    whole["mirrors"] = [{**entry, "bucket": name} for name in buckets]
    kit.write_text(json.dumps(whole), encoding="utf-8")
    for operator in ours.operators[:2]:
        kit_sign(ours.grounds.kit, operator.signer, card_or_none, CLOCK.now())
    home = {"BREAKGLASS_HOME": str(ours.grounds.operator / "incidents")}
    ours.site = open_site(ours.grounds.kit, home, CLOCK, card_or_none)
    return ours


def bodies(folder: IncidentFolder, kind: str) -> list[Mapping[str, Json]]:
    """Return what was recorded of one kind."""
    return [record.body for record in read_journal(folder.journal).records if record.type == kind]


def objects(cloud: Cloud, prefix: str = "", bucket: str = BUCKET) -> dict[str, bytes]:
    """Return the first version of everything on a mirror, by name."""
    s3 = cloud.boto("s3")
    versions: dict[str, str] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        versions |= {one["Key"]: one["VersionId"] for one in page.get("Versions", ())}
    return {
        key: s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()
        for key, version in versions.items()
    }


def joined(found: Mapping[str, bytes]) -> bytes:
    """Join the segments as docs/aws.md says: each record once, in the order of its number."""
    lines: dict[int, bytes] = {}
    for key in sorted(key for key in found if key.endswith(".jsonl")):
        number, _, digest = key.rpartition("/")[2].removesuffix(".jsonl").partition("-")
        assert sha256(found[key]) == digest
        for n, line in enumerate(found[key].splitlines(keepends=True), int(number)):
            assert lines.setdefault(n, line) == line
    return b"".join(lines[n] for n in range(len(lines)))


def verified(ours: Fleet, folder: Path) -> str:
    """Return what `breakglass journal verify` says of a folder."""
    words = [sys.executable, "-m", "breakglass", "journal", "verify", str(folder)]
    environ = {**os.environ, "BREAKGLASS_KIT": str(ours.grounds.kit)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def run_again(ours: Fleet, folder: Path) -> Finished:
    """Run the same signed plan once more, from files alone, into a folder of its own."""
    there = ours.incident.path
    signatures = [there / f"{one.name}.sig" for one in ours.operators[:2]]
    opened = open_signed(ours.site, there / "plan.json", signatures, folder)
    try:
        return finish(opened, {}, observer=quiet, cancelled=lambda: False)
    finally:
        opened.close()


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


def test_another_state_folder_cannot_run_the_same_plan(cloud: Cloud, tmp_path: Path) -> None:
    """A machine set up anew, with the same name and log key, remembers nothing; the mirror does."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, _):
        ours.stop()
        ours.site = dataclasses.replace(ours.site, state=tmp_path / "state")
        since = cloud.calls()[-1]["n"]
        with pytest.raises(NotAuthorised, match="claimed before"):
            run_again(ours, tmp_path / "again")
        changed = [one for one in cloud.calls(since=since) if one["operation"].startswith(("Put", "Attach"))]
        assert [one for one in changed if one["service"] == "iam"] == []
        assert [one["ok"] for one in bodies(IncidentFolder(tmp_path / "again"), "mirror.claimed")] == [False]


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
        assert at["planned"] - issued < 4
        assert at["step"] - at["planned"] < 3
        (claimed,) = bodies(ours.incident, "mirror.claimed")
        assert (claimed["ok"], claimed["detail"]) == (False, "no answer within 1.5 s")
        assert len(done.unmirrored) == 1


def test_a_forged_claim_keeps_no_stop_from_running(cloud: Cloud) -> None:
    """The agent may write to the bucket and knows the plan: it lays a claim there that nobody signed."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, agent):

        def forge(plan: Plan) -> None:
            raw = ours.incident.plan.read_bytes()
            body: dict[str, Json] = {
                "v": 1,
                "type": "claim",
                "org": plan.org,
                "plan_sha256": plan_digest(raw),
                "nonce": plan.nonce,
                "incident": plan.incident,
                "run": "",
                "executor": plan.executors[0],
                "state": "0" * 64,
            }
            signature = ours.operators[0].signer.sign(canonical(body), namespace("claim", plan.org))
            text = canonical({"claim": body, "signature": signature.decode()})
            cloud.boto("s3", agent).put_object(Bucket=BUCKET, Key=f"claims/{plan_digest(raw)}", Body=text)

        _, done = ours.stop(planned=forge)
        assert done.report.verdict == "contained", said(done.report)
        (claimed,) = bodies(ours.incident, "mirror.claimed")
        assert claimed["ok"] is False
        assert "FORGED" in str(claimed["detail"])


def test_a_restore_runs_only_where_a_mirror_answers(cloud: Cloud) -> None:
    """Undoing is not urgent: it waits for its claim."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, _):
        ours.stop()
        cloud.faults({"service": "s3", "operation": "*", "answer": "error-500", "times": 999})
        with pytest.raises(NotAuthorised, match="no mirror answers"):
            ours.restore()
        cloud.faults()
        _, report = ours.restore()
        assert report.verdict == "contained", said(report)
        restored = ours.incident.runs()[-1]
        prefix = f"journals/{report.incident}/{restored.path.name}"
        assert joined(objects(cloud, prefix)) == restored.journal.read_bytes()


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


def test_a_run_that_died_at_its_claim_goes_on(cloud: Cloud) -> None:
    """The claim on the mirror is its own: made before the local one, and found again."""
    make_bucket(cloud)
    with mirrored(cloud, BUCKET) as (ours, _):
        died_at_the_claim(ours)
        done = ours.resume()
        assert done.report.verdict == "contained", said(done.report)
        assert [one["ok"] for one in bodies(ours.incident, "mirror.claimed")] == [True]
        assert joined(objects(cloud, "journals/")) == ours.incident.journal.read_bytes()
        assert done.unmirrored == ()


def died_at_the_claim(ours: Fleet) -> None:
    """Begin a stop and leave off right after its claim on the mirror, as kill -9 does."""

    class KilledError(Exception):
        """Stands for the end of the process: nothing of it is caught."""

    def planned(plan: Plan) -> None:
        ours.sign(ours.incident, *ours.operators[:2])
        trusted = ours.site.trusted_roster(highest_seen=0)
        with closing(ours.site.open_ledger()) as ledger:
            ledger.remember_roster(plan.org, trusted.roster.version, trusted.sha256)
            digest = plan_digest(ours.incident.plan.read_bytes())
            body = claim_of(plan, digest, "", ours.site.executor().name, ledger.identity())
        (mirror,) = open_mirrors(ours.site).open
        claim = Claim(body, ours.site.log_key({}), trusted.roster, stop=True)
        assert claim.on(mirror).standing.value == "ours"
        raise KilledError

    with pytest.raises(KilledError):
        ours.stop(planned=planned)


def test_two_executors_that_win_one_mirror_each_do_not_both_give_way(cloud: Cloud) -> None:
    """The first mirror decides of a stop; a restore gives way to any claim."""
    make_bucket(cloud)
    make_bucket(cloud, OTHER)
    with mirrored(cloud, BUCKET, OTHER) as (ours, _):
        plan, _ = ours.stop()
        mirrors = open_mirrors(ours.site)
        roster = ours.site.trusted_roster(highest_seen=0).roster
        body = claim_of(plan, "5" * 64, "", ours.site.executor().name, "one")
        one = Claim(body, ours.site.log_key({}), roster, stop=True)
        two = dataclasses.replace(one, body={**body, "state": "two"})
        assert one.on(mirrors.open[0]).standing.value == "ours"
        assert two.on(mirrors.open[1]).standing.value == "ours"
        with closing(Journal.create(ours.incident.path / "test.jsonl", CLOCK)) as journal:
            mirrors.claim(one, journal)
            with pytest.raises(NotAuthorised, match="claimed before"):
                mirrors.claim(two, journal)
            with pytest.raises(NotAuthorised, match="claimed before"):
                mirrors.claim(dataclasses.replace(one, stop=False), journal)


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
