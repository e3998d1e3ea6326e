"""Connects to one account and region: keys, clients, the caller's account; then actions and discovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from breakglass.errors import UsageError
from breakglass.model.plan import Step
from breakglass.provider import Action, Budget, Connection, Discovery, Finding
from breakglass_aws import parts
from breakglass_aws.account import Account
from breakglass_aws.discover import discover
from breakglass_aws.executor import Executor
from breakglass_aws.pace import BUDGETS
from breakglass_aws.preflight import preflight
from breakglass_aws.settings import AwsSettings


def warm(connection: Connection) -> Callable[[], AwsProvider]:
    """Find the keys and make the clients; what it returns looks whose account it is.

    Finding keys may take calls of its own, made in turn: STS for a role that is assumed (`as`), a profile's
    source. Each gives up after two attempts.

    Raises:
        UsageError: a sandbox stands in a real plan.
        Denied: there are no credentials; from the second half also: they belong to another account.
        Unreachable: from the second half: nobody answers.
    """
    settings = AwsSettings.of(connection.reach.settings)
    if settings.text("endpoint") and not connection.drill:
        raise UsageError("endpoint is for a drill only", where=connection.reach.where)
    account = Account(settings, connection, Executor(settings, connection))
    account.warm(parts.SERVICES)
    return lambda: AwsProvider(account, account.check_caller())


class AwsProvider:
    """One account and region, connected."""

    def __init__(self, account: Account, caller: str) -> None:
        """Act in an account that was looked at, as this ARN."""
        self._account, self._caller = account, caller
        actions = (make(self._account) for make in parts.ACTION_CLASSES)
        self._actions: Mapping[str, Action] = {action.spec.name: action for action in actions}

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
        return discover(self._account)

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Ask the platform's evaluator whether the executor may do each step, and refuse its own branch."""
        self._account.bulk.end()
        return preflight(self._account, self._caller, steps)

    def close(self) -> None:
        """Let go of connections."""
        self._account.close()
