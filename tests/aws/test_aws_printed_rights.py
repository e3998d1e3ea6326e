"""`breakglass providers show aws --policy`: what an administrator pastes into IAM."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.aws.cloud_fleet import Cloud, cloud_fleet

OWN_DENY = "arn:aws:iam::123456789012:policy/acme-deny"


def shown(*words: str, kit: str = "") -> tuple[int, str, str]:
    """Run the command; return exit code, stdout and stderr."""
    line = [sys.executable, "-m", "breakglass", "providers", "show", "aws", *words]
    done = subprocess.run(
        line, env={**os.environ, "BREAKGLASS_KIT": kit}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words", [("--split",), ("--for", "restore"), ("--agent", "rogue"), ("--json", "--split")]
)
def test_what_belongs_to_a_policy_is_not_taken_for_nothing(words: tuple[str, ...]) -> None:
    """Exit 2: the operator would paste the wrong thing, or nothing."""
    code, _, said = shown(*words)
    assert code == 2
    assert "--policy" in said


def test_a_purpose_that_there_is_not_is_refused() -> None:
    """Exit 2, and the two that there are."""
    code, _, said = shown("--policy", "--for", "undo")
    assert code == 2
    assert "stop and restore" in said


def test_iam_takes_every_printed_piece(cloud: Cloud) -> None:
    """As managed policies, in the sandbox that parses them and holds them to IAM's length."""
    for purpose in ("stop", "restore"):
        code, text, _ = shown("--policy", "--split", "--for", purpose)
        assert code == 0
        for n, piece in enumerate(json.loads(text)):
            cloud.boto("iam").create_policy(
                PolicyName=f"printed-{purpose}-{n}", PolicyDocument=json.dumps(piece)
            )


def test_for_an_agent_the_rights_name_its_own_quarantine_policy(cloud: Cloud) -> None:
    """The kit says which policy denies everything; without it, the executor may attach no other."""
    cloud.user()
    with cloud_fleet(cloud, cloud.reach(users=["rogue"], quarantine_policy=OWN_DENY)) as ours:
        kit = str(ours.grounds.kit)
        code, text, said = shown("--policy", "--agent", "rogue", kit=kit)
        assert code == 0, said
        assert OWN_DENY in text
        assert "policy/AWSDenyAll" not in text
        assert shown("--policy", "--agent", "nobody", kit=kit)[0] == 2
