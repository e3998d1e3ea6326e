"""Joins what brings the agent its work: schedules, queues, subscriptions, triggers."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.model.action import ActionSpec
from breakglass.provider import Action, Notes, Proposed
from breakglass_gcp.actions import (
    eventarc,
    pubsub_keep,
    pubsub_pull,
    pubsub_push,
    pubsub_snapshot,
    scheduler,
    tasks,
)
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project

_PROPOSE = tuple(
    one.propose
    for one in (pubsub_snapshot, pubsub_keep, scheduler, tasks, pubsub_push, eventarc, pubsub_pull)
)


def propose(project: Project, found: Found) -> Proposed:
    """Propose what each service needs; one that does not answer stops no other."""
    notes, proposed = Notes(), Proposed()
    for look in _PROPOSE:
        proposed = proposed.plus(
            notes.attempt(lambda look=look: look(project, found), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


ACTION_CLASSES: tuple[Callable[[Project], Action], ...] = (
    *pubsub_snapshot.ACTION_CLASSES,
    *pubsub_keep.ACTION_CLASSES,
    *scheduler.ACTION_CLASSES,
    *tasks.ACTION_CLASSES,
    *pubsub_push.ACTION_CLASSES,
    *eventarc.ACTION_CLASSES,
    *pubsub_pull.ACTION_CLASSES,
)
SPECS: tuple[ActionSpec, ...] = (
    *pubsub_snapshot.SPECS,
    *pubsub_keep.SPECS,
    *scheduler.SPECS,
    *tasks.SPECS,
    *pubsub_push.SPECS,
    *eventarc.SPECS,
    *pubsub_pull.SPECS,
)
