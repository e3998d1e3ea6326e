"""A sandbox for all tests of this folder, in a process of its own, emptied before each test."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_aws.sandbox.process import Sandbox, start
from providers.aws.tests import least_executor
from providers.aws.tests.rig_aws import Rig, Secrets
from tests.backends import need


@pytest.fixture(scope="session")
def aws_sandbox() -> Iterator[Sandbox]:
    """Run one sandbox."""
    installed = importlib.util.find_spec("moto") is not None and importlib.util.find_spec("boto3") is not None
    need("aws", installed, "pip install 'breakglass[sandbox]'")
    running = start()
    yield running
    running.close()


@pytest.fixture
def rig(aws_sandbox: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """Empty the sandbox; the executor is a user with exactly the rights that the provider prints."""
    aws_sandbox.control("reset")
    secrets = Secrets()
    made = Rig(aws_sandbox, tmp_path, secrets)
    least_executor.give(made)
    yield made
    for provider in made.opened:
        provider.close()
