"""Connects to this machine: which actions there are, and what is refused before anyone signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breakglass.errors import BreakglassError
from breakglass.model.plan import Step
from breakglass.provider import Action, Budget, Connection, Discovery, Finding
from breakglass_host import cgroup, netns, parts, permissions, procfs, reading, tree
from breakglass_host.actions import egress, end_tree, freeze, signal_tree
from breakglass_host.discover import discover

_OF_THE_TREE = frozenset(
    spec.name
    for spec in (freeze.SPEC, end_tree.SPEC, signal_tree.PAUSE_SPEC, signal_tree.STOP_SPEC, egress.SPEC)
)
_NEED_CGROUPS = frozenset((freeze.SPEC.name, end_tree.SPEC.name))


class LocalHost:
    """The machine that this program runs on."""

    def __init__(self, connection: Connection) -> None:
        """Make the actions; nothing is read yet."""
        self._connection = connection
        made: list[Action] = [cls(connection) for cls in parts.ACTION_CLASSES]
        self._actions = {action.spec.name: action for action in made}

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
        return self._actions

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return no budgets: a kernel does not throttle."""
        return {}

    def discover(self) -> Discovery:
        """Find the tree and all that hangs on it."""
        return discover(self._connection)

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Refuse what would stop the executor or a neighbour, and say which right is missing."""
        return tuple(_finding(step) for step in steps)

    def read_file(self, path: str, *, max_bytes: int) -> bytes:
        """Return the bytes of a file, for another provider. Raises Gone, Denied."""
        return reading.read_file(path, max_bytes=max_bytes)

    def close(self) -> None:
        """Let go of network namespaces."""
        netns.release()


def _finding(step: Step) -> Finding:
    if step.action not in _OF_THE_TREE:
        return Finding(step.n, ok=True, message="")
    try:
        wanted = tree.of(step.target)
        shared = freeze.shared_now(wanted, cgroup.find(), procfs.scan())
    except BreakglassError as error:
        return Finding(step.n, ok=False, message=str(error))
    if shared:
        return Finding(step.n, ok=False, message=f"refused: {shared[0]}")
    if step.action in _NEED_CGROUPS and cgroup.writable() is None:
        return Finding(step.n, ok=False, message="needs root and a cgroup v2 that can be written to")
    lacks = permissions.missing()
    if step.action == egress.SPEC.name and "nft" in lacks and "uncut" not in step.target.params:
        return Finding(step.n, ok=False, message=lacks["nft"])
    return Finding(step.n, ok=True, message="")
