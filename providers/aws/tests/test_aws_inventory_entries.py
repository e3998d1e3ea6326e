"""What an operator writes into an AWS reach by mistake is named, item by item, before the night."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass_aws.settings import complaints


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"roles": ["good", "ro le"]}, "roles: 'ro le' is empty or has characters"),
        ({"roles": ["arn:aws:iam::123456789012:role/bot"]}, "is an ARN or a URL: give the name"),
        ({"queues": ["https://sqs.eu-west-1.amazonaws.com/1/jobs"]}, "is an ARN or a URL: give the name"),
        ({"deployers": ["codedeploy:bot"]}, "lacks its deployment group"),
        ({"deployers": ["codedeploy:bot/"]}, "lacks its deployment group"),
        ({"region": "eu west"}, "region is not a region"),
    ],
)
def test_one_mistake_is_one_complaint_that_names_it(more: dict[str, Json], words: str) -> None:
    """The operator sees which item it is, and what to write."""
    (said,) = complaints({"account": "123456789012", "region": "eu-west-1", **more})
    assert words in said


def test_what_is_right_is_not_complained_about() -> None:
    """Names with their bus, group, cluster or stage."""
    entry: dict[str, Json] = {
        "account": "123456789012",
        "region": "eu-west-1",
        "rules": ["bus/rule"],
        "services": ["prod/bot"],
        "deployers": ["codedeploy:bot/prod", "codepipeline:bot", "cloudformation:bot"],
    }
    assert complaints(entry) == []
