"""One project, as the executor: every call of every action goes through here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, ProviderError, Unreachable
from breakglass.model.action import ActionSpec
from breakglass.model.resource import Resource
from breakglass.provider import Connection
from breakglass_gcp.calls import OPERATION_S, Calls, Listing
from breakglass_gcp.executor import token_of
from breakglass_gcp.first_looks import FirstLooks
from breakglass_gcp.google_time import GoogleTime
from breakglass_gcp.pace import Pace
from breakglass_gcp.refusals import SERVICE_DISABLED, CredentialsExpired, Unauthenticated, reason_of, shown
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.shared import share
from breakglass_gcp.whose import why_not
from breakglass_gcp.wire import Wire, check_endpoints, warm

_UNPACED: Mapping[str, Any] = {}


class Project:
    """The executor's calls in one project."""

    def __init__(self, settings: GcpSettings, connection: Connection) -> None:
        """Find the executor's credentials; make no call yet.

        Raises:
            UsageError: a sandbox's endpoint stands in a real plan.
            Denied: there are no credentials.
        """
        check_endpoints(settings, drill=connection.drill)
        self.settings = settings
        self.connection = connection
        self._shared = share(settings, connection)
        self._executor = self._shared.executor
        self._pace = Pace(connection.clock)
        self._calls = Calls(self._shared.wire, connection.clock, self._pace, self._refused)
        self.google_time = GoogleTime(self._date, connection.clock)
        self._gate = threading.Lock()
        self._agents: dict[str, Calls] = {}
        self.kept: dict[str, tuple[str, float]] = {}
        """Identity of the agent's -> a token that its key gave before the stop, and when; in memory only."""

    @property
    def name(self) -> str:
        """Return ``projects/ID``."""
        return f"projects/{self.settings.project}"

    @property
    def id(self) -> str:
        """Return the project's id."""
        return self.settings.project

    @property
    def number(self) -> str:
        """Return the project's number."""
        return self.settings.number

    @property
    def me(self) -> str:
        """Return the executor's own e-mail address; empty where its credentials do not tell."""
        own = getattr(self._executor.credentials, "service_account_email", "") or ""
        return self.settings.text("as") or ("" if own == "default" else str(own))

    @property
    def pool_audience(self) -> str:
        """Return which workload identity pool the executor's own credentials come from; empty: from none."""
        return self._executor.audience

    def settle_s(self, spec: ActionSpec, own_s: float | None = None) -> float:
        """Return the settle time of an action: its own, shortened where a drill says so."""
        return (spec.settle_s if own_s is None else own_s) * self.settings.settle_factor

    def target(self, kind: str, id_: str, label: str, **params: Json) -> Resource:
        """Return a target of this project; the number pins it."""
        return Resource(kind, id_, label, {**params, "project_number": self.number})

    def warm(self, services: tuple[str, ...]) -> None:
        """Make the clients of these services, one after another; for the main thread (DESIGN 10)."""
        warm(self._shared.wire, services)

    @property
    def first_looks(self) -> FirstLooks:
        """Return what this run looked at first, and when; all projects of its executor share it."""
        return self._shared.first_looks

    def call(self, service: str, method: str, request: object = None, *, location: str = "") -> Any:  # noqa: ANN401 - Google's messages have no types here
        """Make one call; see `Calls.call`."""
        return self._calls.call(service, method, request, location=location)

    def every(self, service: str, method: str, request: object = None, *, location: str = "") -> Listing:
        """Return every page of a listing; see `Calls.every`."""
        return self._calls.every(service, method, request, location=location)

    def operate(
        self,
        service: str,
        method: str,
        request: object = None,
        *,
        wait_s: float = OPERATION_S,
        location: str = "",
    ) -> bool:
        """Begin a long-running operation and wait for it; see `Calls.operate`."""
        return self._calls.operate(service, method, request, wait_s=wait_s, location=location)

    def rest(
        self,
        service: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        location: str = "",
    ) -> dict[str, Any]:
        """Make one call over REST; see `Calls.rest`."""
        return self._calls.rest(service, method, path, query=query, body=body, location=location)

    def rest_pages(
        self,
        service: str,
        path: str,
        key: str,
        *,
        query: Mapping[str, object] | None = None,
        location: str = "",
    ) -> Listing:
        """Return every page of a listing over REST; see `Calls.rest_pages`."""
        return self._calls.rest_pages(service, path, key, query=query, location=location)

    def as_agent(self, token: str) -> Calls:
        """Return calls with a token of the agent's, held for proof; refused, they raise Unauthenticated."""
        with self._gate:
            if token not in self._agents:
                wire = Wire(self.settings, lambda: token, drill=self.connection.drill)
                self._agents[token] = Calls(
                    wire, self.connection.clock, Pace(self.connection.clock, _UNPACED)
                )
            return self._agents[token]

    def holds(self, identity: str) -> bool:
        """Return whether the executor holds a credential of an identity of the agent's, for proof."""
        return identity in self.settings.mapping("agent_credentials")

    def agent_token(self, identity: str) -> str | None:
        """Return an access token of an identity of the agent's; None: the executor holds nothing of it.

        Raises:
            Unauthenticated: no token is given for it any more.
            ProviderError: what is held cannot be used, is of somebody else, or whether a token would be given
                is not known.
        """
        name = self.settings.mapping("agent_credentials").get(identity)
        if name is None:
            return None
        secret = self.connection.credentials.secret(name)
        if why := why_not(secret, identity):
            raise Denied(shown(why), where=f"credential {name}")
        return token_of(secret, name, drill=self.connection.drill)

    def check_project(self) -> None:
        """Look that this is the project that the plan means.

        Raises:
            Denied: it is another one, or there is no such project for this executor.
            Unreachable: nobody answers there.
        """
        try:
            found = self.call("projects", "get_project", {"name": self.name})
        except CredentialsExpired as error:
            raise Denied(error.what, where=self.name, remedy="renew it, and try again") from error
        except Gone as error:
            raise Denied(
                f"there is no such project: {error.what}", where=self.name, remedy="correct `project`"
            ) from error
        except Denied as error:
            if reason_of(error) == SERVICE_DISABLED:
                remedy = "enable cloudresourcemanager.googleapis.com in the executor's project"
                raise Denied(error.what, where=self.name, remedy=remedy) from error
            raise
        except ProviderError as error:
            raise Unreachable(f"Google Cloud {error.what}", where=self.name, remedy="try again") from error
        number = str(found.name).rpartition("/")[2]
        if number != self.number or str(found.project_id) != self.id:
            raise Denied(
                f"this is another project: {found.project_id} has the number {number}, and the reach means"
                f" {self.id} with {self.number}",
                where=self.name,
                remedy="correct `project` and `project_number` of the reach",
            )

    @contextmanager
    def closed_on_failure(self) -> Iterator[None]:
        """Let go of connections where what is done here fails."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of connections."""
        with self._gate:
            agents, self._agents = list(self._agents.values()), {}
        self._shared.close()
        for calls in agents:
            calls.close()

    def _date(self) -> str:
        return self._calls.date("projects", f"v3/{self.name}")

    def _refused(self, error: Unauthenticated) -> ProviderError:
        """Say that the executor's own credentials are refused, after a look for new ones."""
        self._executor.renew()
        name = self.settings.text("credential")
        which = f" (credential {name})" if name else ""
        return CredentialsExpired(
            f"the executor's credentials{which} are refused, and new ones let it go on: {error.what}"[:400],
            where=error.where,
        )
