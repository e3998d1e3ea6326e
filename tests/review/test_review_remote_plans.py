"""A plan that was made elsewhere is held against the kit host by host, not by their common provider."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.drill.grounds import AGENT
from breakglass.errors import StalePlan
from breakglass.model.plan import Plan
from breakglass.usecases.contain import new_folder, open_stop
from breakglass.usecases.kit_plan import require_of_kit
from breakglass.usecases.prepare import StopRequest
from tests.hosts.fleet import CLOCK, Fleet, fleet
from tests.review.hostile_host import first_in_path, reach, stand_in

GOOD = "def discover(call): answer(call, found(proposals=[step('spool')]))"
AWAY = "sys.exit(1)"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Fleet, Plan]]:
    """Plan a stop on two hosts that answer; a third does not."""
    hosts = {"one.drill.invalid": GOOD, "two.drill.invalid": GOOD, "away.drill.invalid": AWAY}
    monkeypatch.setenv("PATH", first_in_path(stand_in(tmp_path / "bin", hosts)))
    with fleet([reach(name) for name in hosts]) as ours:
        folder = new_folder(ours.site, None, "inc-plan")
        request = StopRequest(AGENT, "", "a test", ours.operators[0].name, None, CLOCK.now())
        opened = open_stop(ours.site, request, folder, "inc-plan", secrets.token_bytes)
        opened.close()
        yield ours, opened.run.plan


def test_a_host_that_does_not_answer_does_not_stand_for_one_that_was_left_out(
    made: tuple[Fleet, Plan],
) -> None:
    """Whoever makes the plan cannot drop a host beside one that really is away."""
    ours, plan = made
    assert ["ssh://root@away.drill.invalid"] == [item.scope for item in plan.not_planned]
    require_of_kit(plan, ours.site.kit)

    with pytest.raises(StalePlan, match="does not mention a reach of provider host"):
        require_of_kit(replace(plan, reaches=plan.reaches[:1]), ours.site.kit)


def test_a_host_that_the_kit_does_not_name_or_whose_key_differs_is_refused(made: tuple[Fleet, Plan]) -> None:
    """A plan cannot lead the executor to another machine than the kit's."""
    ours, plan = made
    first = plan.reaches[0]
    for change in ({"host": "ssh://root@other.drill.invalid"}, {"host_key": "ssh-ed25519 AAAA"}):
        more = replace(first, n=len(plan.reaches), settings={**first.settings, **change})
        with pytest.raises(StalePlan, match="which the kit does not"):
            require_of_kit(replace(plan, reaches=(*plan.reaches, more)), ours.site.kit)
