"""Timings come from the records alone, and what was not proven has no time."""

from __future__ import annotations

from dataclasses import replace

from breakglass.model.action import Capability, Grade, Verdict
from breakglass.model.plan import TimeSource, Verb
from breakglass.report.timeline import timings
from tests.report.samples import Told, a_contained_run, a_plan, a_report, a_step


def test_every_phase_ends_with_its_last_proven_step() -> None:
    """Proven times count from the stop, and again from the last needed signature."""
    plan, told = a_contained_run()

    found = timings(plan, told.records, verdict=Verdict.CONTAINED)

    assert (252.0, TimeSource.OBSERVED) == (found.detect_s, found.detect_source)
    assert 38.2 == found.authorise_s
    assert (38.5, 39.8, 40.8, 40.8) == (found.isolate_s, found.revoke_s, found.preserve_s, found.contained_s)
    assert (38.5, 38.8, 40.8) == (
        found.read_back.isolate_s,
        found.read_back.revoke_s,
        found.read_back.preserve_s,
    )
    since = found.since_authorised
    assert (0.3, 1.6, 2.6, 2.6) == (
        since.proven.isolate_s,
        since.proven.revoke_s,
        since.proven.preserve_s,
        since.proven.contained_s,
    )
    assert 0.6 == since.read_back.revoke_s


def test_a_phase_with_a_step_that_is_not_proven_has_no_proven_time() -> None:
    """One unproven step of two leaves the phase null; the read-back stays if both were read back."""
    plan = a_plan(a_step(0), a_step(1))
    told = Told().claimed().started(0).started(1).later(1).read_back(0).closed(0).read_back(1)
    told.closed(1, Verdict.UNKNOWN, Grade.NONE)

    found = timings(plan, told.records, verdict=Verdict.UNKNOWN)

    assert found.isolate_s is None
    assert 1.0 == found.read_back.isolate_s
    assert found.contained_s is None
    assert found.read_back.contained_s is None


def test_contained_without_proof_is_not_a_proven_time() -> None:
    """A step that was closed as contained with grade none was not proven."""
    plan = a_plan(a_step(0))
    told = Told().claimed().started(0).later(1).read_back(0).closed(0, grade=Grade.NONE)

    assert timings(plan, told.records, verdict=Verdict.CONTAINED).isolate_s is None


def test_a_withheld_credential_does_not_count_as_revoked() -> None:
    """With nothing but withholding in the plan, revoke has no time."""
    plan = a_plan(a_step(0, Capability.REVOKE_CREDENTIALS, withholds_only=True))
    told = Told().claimed().started(0).later(1).read_back(0).closed(0)

    found = timings(plan, told.records, verdict=Verdict.NOT_CONTAINED)

    assert found.revoke_s is None
    assert found.read_back.revoke_s is None


def test_a_moot_step_is_done_when_the_steps_that_made_it_moot_are() -> None:
    """An egress cut that cannot be made is overtaken by the proof that nothing runs any more."""
    plan = a_plan(a_step(0, Capability.CUT_EGRESS, moot_by=(1,)), a_step(1))
    told = Told().claimed().started(0).started(1).later(1).closed(0, Verdict.UNKNOWN, Grade.NONE)
    told.later(2).read_back(1).closed(1)

    report = a_report(plan, told)

    assert 3.0 == report.timings.isolate_s
    assert 3.0 == report.timings.contained_s
    assert "step 1 proven" in report.steps[0].reason


def test_a_wall_clock_that_steps_does_not_change_a_duration() -> None:
    """Within one boot only the monotonic clock counts."""
    plan = a_plan(a_step(0))
    told = Told().claimed().started(0).later(1)
    told.utc_step_s = -3600
    told.read_back(0).closed(0)

    assert 1.0 == timings(plan, told.records, verdict=Verdict.CONTAINED).isolate_s


def test_after_a_reboot_durations_come_from_utc() -> None:
    """Monotonic clocks of two boots say nothing about each other."""
    plan = a_plan(a_step(0))
    told = Told().claimed().started(0).later(60)
    told.monotonic_base_s = -50.0
    told.add("run.resumed", boot="boot-2", in_doubt=[])
    told.read_back(0).closed(0)

    assert 60.0 == timings(plan, told.records, verdict=Verdict.CONTAINED).isolate_s


def test_nothing_authorised_leaves_every_time_empty() -> None:
    """A run that ended before its second signature has no times but detect."""
    plan = a_plan(a_step(0))

    found = timings(plan, Told().signed("alice@example.com").records, verdict=Verdict.UNKNOWN)

    assert found.authorise_s is None
    assert found.isolate_s is None
    assert found.since_authorised.proven.isolate_s is None


def test_an_unknown_detection_is_null() -> None:
    """Without an alert and without stated times there is no detect."""
    plan = replace(a_plan(a_step(0)), detection=None)

    found = timings(plan, Told().records, verdict=Verdict.UNKNOWN)

    assert found.detect_s is None
    assert found.detect_source is None


def test_a_restore_has_one_time_of_its_own() -> None:
    """A restore isolates nothing: only `restore` is filled."""
    plan = a_plan(a_step(0), verb=Verb.RESTORE)
    told = Told().later(5).signed("a").signed("b").claimed().started(0).later(1).read_back(0).closed(0)

    found = timings(plan, told.records, verdict=Verdict.CONTAINED)

    assert 6.0 == found.restore_s
    assert 1.0 == found.since_authorised.proven.restore_s
    assert found.isolate_s is None
    assert found.contained_s is None


def test_the_stop_counts_as_issued_before_anything_was_planned() -> None:
    """Planning is part of the time that an operator waits."""
    plan = a_plan(a_step(0))
    told = Told(opened="stop.issued").later(4)
    told.add("run.opened", boot="boot-1")
    told.later(1).signed("a").signed("b").claimed()

    assert 5.0 == timings(plan, told.records, verdict=Verdict.UNKNOWN).authorise_s
