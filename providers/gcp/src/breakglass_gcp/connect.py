"""Connects to one project: credentials, clients, the project's number; then actions and discovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from breakglass.model.plan import Step
from breakglass.provider import Action, Budget, Connection, Discovery, Finding
from breakglass_gcp import parts
from breakglass_gcp.discover import discover
from breakglass_gcp.pace import BUDGETS
from breakglass_gcp.preflight import preflight
from breakglass_gcp.project import Project
from breakglass_gcp.settings import GcpSettings


def warm(connection: Connection) -> Callable[[], GcpProvider]:
    """Find the credentials and make the clients; what it returns looks whose project it is.

    Raises:
        UsageError: a sandbox stands in a real plan.
        Denied: there are no credentials; from the second half also: it is another project.
        Unreachable: from the second half: nobody answers.
    """
    project = Project(GcpSettings.of(connection.reach.settings), connection)

    def meet() -> GcpProvider:
        with project.closed_on_failure():
            project.check_project()
        return GcpProvider(project)

    with project.closed_on_failure():
        project.warm(parts.WARM)
    return meet


class GcpProvider:
    """One project, connected."""

    def __init__(self, project: Project) -> None:
        """Act in a project that was looked at."""
        self._project = project
        actions = (make(self._project) for make in parts.ACTION_CLASSES)
        self._actions: Mapping[str, Action] = {action.spec.name: action for action in actions}

    @property
    def project(self) -> Project:
        """Return the executor's calls."""
        return self._project

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
        return self._actions

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return the documented rates by service."""
        return BUDGETS

    def discover(self) -> Discovery:
        """Find what the agent is, uses and is driven by here."""
        return discover(self._project)

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Ask the platform whether the executor may do each step, and refuse its own branch."""
        return preflight(self._project, steps)

    def close(self) -> None:
        """Let go of connections."""
        self._project.close()
