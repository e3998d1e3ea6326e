"""Finds what the agent is on this host and proposes what to do about it: containment, evidence, relaunch."""

from __future__ import annotations

from breakglass.provider import Connection, Discovery, Proposed
from breakglass_host import parts, plan_tree, tree


def discover(connection: Connection) -> Discovery:
    """Join the parts: the tree's own steps, snapshots before the kill, and all that would start it again."""
    found = plan_tree.look(connection)
    is_stoppable = not found.resolved.empty
    freeze_key = found.freeze_key if is_stoppable else None
    evidence = Proposed()
    for propose in parts.EVIDENCE:
        evidence = evidence.plus(propose(connection, freeze_key, found.kill_key))
    own = Proposed()
    if _names_processes(connection):
        own = plan_tree.propose(connection, found, tuple(one.key for one in evidence.proposals))
    proposed = _evidence_before_the_kill(own, evidence)
    for propose in parts.OTHERS:
        proposed = proposed.plus(propose(connection, freeze_key, found.kill_key))
    return Discovery(
        scope=f"host {connection.reach.settings.get('host', 'local')}",
        principals=(found.principal,) if found.members else (),
        proposals=proposed.proposals,
        doors=proposed.doors,
        not_touched=proposed.not_touched,
        incomplete=proposed.incomplete,
    )


def _names_processes(connection: Connection) -> bool:
    """Return False where the agent is nothing here but containers: each of them is a tree of its own."""
    settings = connection.reach.settings
    is_named = any(tree.setting(settings, key) for key in ("unit", "cgroup", "user", "pid_file"))
    return is_named or not settings.get("containers")


def _evidence_before_the_kill(own: Proposed, evidence: Proposed) -> Proposed:
    """Put the evidence between the freeze and the kill: nobody may wait for a step that comes later."""
    steps = own.proposals
    return (
        Proposed(steps[:-1])
        .plus(evidence)
        .plus(Proposed(steps[-1:], own.doors, own.not_touched, own.incomplete))
    )
