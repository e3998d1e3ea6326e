"""Whole stops whose kit names a mirror in S3: the plan is claimed there, by one executor alone."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest

from breakglass.canon import Json, canonical
from breakglass.errors import NotAuthorised
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.writer import Journal
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import Plan, plan_digest
from breakglass.usecases.claims import claim_of
from breakglass.usecases.contain import finish, open_signed
from breakglass.usecases.mirrors import Claim, open_mirrors
from breakglass.usecases.run import Finished
from tests.aws.cloud_fleet import Cloud, said
from tests.aws.mirrored import BUCKET, OTHER, bodies, joined, make_bucket, mirrored, objects
from tests.hosts.fleet import CLOCK, Fleet, quiet


def run_again(ours: Fleet, folder: Path) -> Finished:
    """Run the same signed plan once more, from files alone, into a folder of its own."""
    there = ours.incident.path
    signatures = [there / f"{one.name}.sig" for one in ours.operators[:2]]
    opened = open_signed(ours.site, there / "plan.json", signatures, folder)
    try:
        return finish(opened, {}, observer=quiet, cancelled=lambda: False)
    finally:
        opened.close()


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
