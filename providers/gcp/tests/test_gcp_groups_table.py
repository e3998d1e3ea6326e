"""What is done with a member of a group is a table: whatever may run is called."""

from __future__ import annotations

from itertools import product

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, InDoubt, ProviderError, Throttled, Transient
from breakglass_gcp.actions.compute_choice import MOVING, Way, planned, status_of, way
from breakglass_gcp.actions.compute_group_made import changed
from breakglass_gcp.actions.compute_reading import MADE, OFF, ON
from breakglass_gcp.tries import Tries

TARGETS = ("RUNNING", "SUSPENDED", "STOPPED", "ABANDONED", "DELETED", "INVALID", "", "UNHEARD_OF")
CALLS = {Way.SUSPEND_TOGETHER, Way.SUSPEND, Way.STOP_THROUGH, Way.STOP}


@pytest.mark.parametrize("status", sorted({*ON, "UNHEARD_OF"}))
def test_whatever_may_run_is_called(status: str) -> None:
    """Of each status that is not off, with each target, refused before or not."""
    for target, refused in product(TARGETS, (True, False)):
        assert way(status, target, refused=refused) in CALLS, (status, target, refused)


@pytest.mark.parametrize(
    ("status", "target", "refused", "wanted"),
    [
        ("RUNNING", "RUNNING", False, Way.SUSPEND_TOGETHER),
        ("RUNNING", "RUNNING", True, Way.STOP_THROUGH),
        ("RUNNING", "SUSPENDED", False, Way.SUSPEND),
        ("RUNNING", "SUSPENDED", True, Way.STOP_THROUGH),
        ("RUNNING", "STOPPED", False, Way.SUSPEND),
        ("RUNNING", "STOPPED", True, Way.STOP),
        ("RUNNING", "ABANDONED", False, Way.SUSPEND),
        ("RUNNING", "", False, Way.SUSPEND),
        ("RUNNING", "", True, Way.STOP),
        ("PENDING_STOP", "RUNNING", False, Way.STOP),
        ("STAGING", "RUNNING", False, Way.STOP_THROUGH),
        ("PROVISIONING", "STOPPED", False, Way.STOP),
        ("REPAIRING", "", False, Way.STOP),
        ("SUSPENDED", "RUNNING", False, Way.NOTHING),
    ],
)
def test_the_group_is_called_only_where_that_changes_what_it_wants(
    status: str,
    target: str,
    refused: bool,  # noqa: FBT001 - a case
    wanted: Way,
) -> None:
    """A group that has a machine stopped already does nothing when it is told to stop it."""
    assert way(status, target, refused=refused) is wanted


def test_what_is_off_or_on_its_way_is_not_called() -> None:
    """Whatever its group wants of it."""
    for target, refused in product(TARGETS, (True, False)):
        assert {way(status, target, refused=refused) for status in OFF} == {Way.NOTHING}
        assert {way(status, target, refused=refused) for status in MOVING | MADE} == {Way.AWAIT}


@pytest.mark.parametrize(
    ("machine", "action", "status"),
    [
        ("RUNNING", "NONE", "RUNNING"),
        ("RUNNING", "RECREATING", "RUNNING"),
        ("RUNNING", "ABANDONING", "RUNNING"),
        ("TERMINATED", "STARTING", "STARTING"),
        ("SUSPENDED", "RESUMING", "RESUMING"),
        ("TERMINATED", "DELETING", "TERMINATED"),
        ("", "CREATING", "CREATING"),
        ("", "DELETING", "DELETING"),
        ("STOPPING", "RECREATING", "STOPPING"),
    ],
)
def test_a_member_that_its_group_is_about_to_start_is_not_off(machine: str, action: str, status: str) -> None:
    """Its current action says so before its status does."""
    assert status_of(machine, action) == status


def test_a_plan_names_a_machine_by_its_id_where_it_keeps_one() -> None:
    """Older plans keep names alone."""
    named: dict[str, Json] = {"instances": ["z/a", "z/b"], "ids": [["z/a", "1"]]}

    assert planned(named, "z/a", "1")
    assert not planned(named, "z/a", "2")
    assert planned(named, "z/b", "7")
    assert not planned(named, "z/c", "1")
    assert planned({"instances": ["z/a"]}, "z/a", "2")
    assert not planned({}, "z/a", "1")


def test_the_first_failure_is_told_at_the_end_and_doubt_before_it() -> None:
    """Doubt must be read again; a service that wants fewer calls gets none."""
    tries, made = Tries(), list[str]()

    def fail(error: ProviderError) -> None:
        made.append(error.what)
        raise error

    tries.make(lambda: fail(Transient("away")))
    tries.make(lambda: fail(Denied("no")))
    tries.make(lambda: fail(InDoubt("lost")))
    with pytest.raises(InDoubt):
        tries.end()
    with pytest.raises(Throttled):
        tries.make(lambda: fail(Throttled("slower")))
    assert made == ["away", "no", "lost", "slower"]
    assert tries.done == 0


def test_what_a_journal_does_not_hold_is_not_compared() -> None:
    """One that was written before a group's template was kept."""
    now: dict[str, Json] = {"group": {"id": "1", "made_of": {"instance_template": "x"}, "configs": {}}}

    assert changed({"group": {"id": "1"}}, now) == []
    assert changed({"group": {"id": "2"}}, now) == ["group is another one"]
    assert changed({"group": {"id": "1", "configs": None}}, now) == [
        "group: per-instance configs could not be read"
    ]
    assert changed({"group": {"id": "1", "made_of": {"instance_template": "w"}}}, now) == [
        "group: instance_template was w, is x"
    ]
