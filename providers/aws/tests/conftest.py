"""A sandbox for all tests of this folder, in a process of its own, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_aws.sandbox.process import Sandbox, start
from providers.aws.tests.rig_aws import EXECUTOR, Rig, Secrets


@pytest.fixture(scope="session")
def aws_sandbox() -> Iterator[Sandbox]:
    """Run one sandbox."""
    running = start()
    yield running
    running.close()


@pytest.fixture
def rig(aws_sandbox: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """Empty the sandbox and give a test what it needs."""
    aws_sandbox.control("reset")
    secrets = Secrets()
    made = Rig(aws_sandbox, tmp_path, secrets)
    secrets.keep(EXECUTOR, {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"})
    yield made
    for provider in made.opened:
        provider.close()
