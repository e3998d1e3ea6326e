"""What the whole stops with a mirror in S3 share: the buckets, a kit that names them, the reading."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from breakglass.canon import Json, sha256
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.reader import read_journal
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.kit_signing import kit_sign
from breakglass.usecases.site import open_site
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from tests.aws.cloud_fleet import Cloud, Keys, cloud_fleet
from tests.hosts.fleet import CLOCK, Fleet

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
