"""One API call as the sandbox's front understood it, and what is said when it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One API call, parsed with the service's own model."""

    service: str
    """botocore's name: ``iam``, ``lambda``, ``bedrock-agent``."""
    operation: str
    """The model's name: ``PutRolePolicy``."""
    params: Mapping[str, Any]
    account: str
    region: str
    caller: str
    """ARN of who calls; a session's is ``arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION``."""
    access_key: str
    source_ip: str = "127.0.0.1"


class Refusal(Exception):
    """The service says no: its own code, words and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Keep the three parts apart."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


Handler = Callable[[Call], Mapping[str, Any]]
"""Answers an operation that moto lacks or gets wrong; the front serialises the answer by the model."""
Guard = Callable[[Call], None]
"""Looks at a call before moto gets it; raises `Refusal` where the real service would refuse."""
