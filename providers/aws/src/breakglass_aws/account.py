"""One account and region, as the executor: every call of every action goes through here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import Any, TypeVar, cast

from breakglass.errors import Denied, ProviderError, Throttled, Unreachable
from breakglass.model.action import ActionSpec
from breakglass.provider import Connection
from breakglass_aws.bulk import Bulk
from breakglass_aws.executor import Executor, Keys, client_config, keys_session
from breakglass_aws.pace import Pace
from breakglass_aws.patience import Patience
from breakglass_aws.recent import AGE_S, Recent
from breakglass_aws.refusals import CredentialsExpired, is_write, translate
from breakglass_aws.settings import AwsSettings

Answer = Mapping[str, Any]
T = TypeVar("T")
GLOBAL = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""The region of services that have but one control plane (AWS General Reference, "Global services")."""
_GLOBAL_SERVICES = frozenset({"iam", "organizations"})
IAM_PAGE = 1000
"""The most that IAM gives at once, where it gives 100 when not asked (IAM API reference, MaxItems)."""
_MAX_PAGES = 100_000


class Account:
    """The executor's calls in one account and region."""

    def __init__(self, settings: AwsSettings, connection: Connection, executor: Executor) -> None:
        """Make no call yet."""
        self.settings = settings
        self.connection = connection
        self._executor = executor
        self.bulk = Bulk(connection.clock)
        self.recent = Recent(connection.clock, AGE_S * min(1.0, settings.settle_factor))
        self._pace = Pace(connection.clock)
        self._patience: Patience | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._gate = threading.Lock()
        self._agents: dict[tuple[Keys, str], Any] = {}
        self._agents_gate = threading.Lock()

    @property
    def id(self) -> str:
        """Return the account's 12 digits."""
        return self.settings.account

    @property
    def region(self) -> str:
        """Return the region of this reach."""
        return self.settings.region

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """Return an ARN of this account; `region` is empty for IAM's and S3's."""
        where = self.region if region is None else region
        account = "" if service == "s3" else self.id
        return f"arn:{self.settings.partition}:{service}:{where}:{account}:{resource}"

    def settle_s(self, spec: ActionSpec) -> float:
        """Return the settle time of an action: its own, shortened where a drill says so."""
        return spec.settle_s * self.settings.settle_factor

    def patient(self, patience: Patience) -> Account:
        """Return the same account for one reading whose calls wait where a service asks for it.

        Clients, rates and what was read are shared; the calls of anybody else are refused at once as before.
        """
        same = copy(self)
        same._patience = patience  # noqa: SLF001 - of its own class
        return same

    @property
    def waited_s(self) -> float:
        """Return how long the calls of this reading have waited for services that refused them."""
        return self._patience.waited_s if self._patience is not None else 0.0

    def warm(self, services: tuple[str, ...]) -> None:
        """Make the clients of these services, one after another; for the main thread (DESIGN 10)."""
        for service in services:
            self._client(service, self.region)
        # IAM's events are on record in one region alone, and are read from there.
        self._client("cloudtrail", GLOBAL[self.settings.partition])

    def call(self, service: str, operation: str, /, **params: Any) -> Answer:  # noqa: ANN401 - its own
        """Make one call, at the service's rate; `operation` is boto3's name (``put_role_policy``).

        Raises:
            ProviderError: what the service refused, in the engine's words; `code_of` tells its code.
        """
        return self._waited_for(partial(self.call_in, self.region, service, operation, **params))

    def call_in(self, region: str, service: str, operation: str, /, **params: Any) -> Answer:  # noqa: ANN401 - its own
        """Make one call, once, also in another region: what a global service did is on record in its own one.

        Raises:
            ProviderError: what the service refused, in the engine's words; `code_of` tells its code.
        """
        client = self._client(service, region)
        name = _operation(client, operation)
        if is_write(name):
            self.bulk.changed()
            if name.endswith("PolicyVersion"):
                self.recent.forget()
        return self._made(partial(getattr(client, operation), **params), service, name)

    def pages(self, service: str, operation: str, key: str, /, **params: Any) -> Iterator[Any]:  # noqa: ANN401 - its own
        """Yield the items under `key` of every page, to the end.

        Raises:
            ProviderError: one page failed; what came before it is not the whole.
        """
        for page in self.each_page(service, operation, **params):
            yield from page.get(key) or ()

    def each_page(self, service: str, operation: str, /, **params: Any) -> Iterator[Answer]:  # noqa: ANN401 - its own
        """Yield every page of a listing, as the service's own paginator follows it.

        A page that is refused is asked for again, where there is patience; the pages before it stand.

        Raises:
            ProviderError: one page failed; what came before it is not the whole.
        """
        client = self._client(service, self.region)
        name = _operation(client, operation)
        if not client.can_paginate(operation):
            yield self.call(service, operation, **params)
            return
        if service == "iam":
            params.setdefault("PaginationConfig", {"PageSize": IAM_PAGE})
        paginator, method = client.get_paginator(operation), getattr(client, operation)
        # A paginator that meets an exception has ended, and one that starts at a token leaves out all kinds
        # of items but the first: so what it calls must not fail while there is patience.
        paginator._method = lambda **asked: self._waited_for(  # noqa: SLF001 - there is no public setter
            lambda: self._made(partial(method, **asked), service, name)
        )
        pages = iter(paginator.paginate(**params))
        where = f"{service}:{name}"
        for _ in range(_MAX_PAGES):
            page: Answer | None = self._translated(lambda: next(pages, None), name, where)
            if page is None:
                return
            yield page
        raise ProviderError("the listing does not end", where=where)

    def call_as(self, keys: Keys, service: str, operation: str, /, **params: Any) -> Answer:  # noqa: ANN401 - its own
        """Make one call as somebody else: the agent, with a credential of its own that is held for proof.

        Raises:
            ProviderError: it was refused; `code_of` tells how.
        """
        client = self._client_of(keys, service)
        name = _operation(client, operation)
        return self._translated(lambda: cast("Answer", getattr(client, operation)(**params)), name, name)

    def _client_of(self, keys: Keys, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Return the client of a credential that is held for proof: made once, not once a call."""
        where = self._region_of(service, self.region)
        with self._agents_gate:
            if (keys, service) not in self._agents:
                self._agents[keys, service] = keys_session(keys).create_client(
                    service,
                    region_name=where,
                    endpoint_url=self.settings.text("endpoint") or None,
                    config=client_config(self.settings),
                )
            return self._agents[keys, service]

    def agent_keys(self, principal: str) -> Keys | None:
        """Return the agent's own credential of ``user/NAME`` or ``role/NAME``, where the executor holds one.

        Raises:
            Denied: the inventory names one, and it cannot be read.
        """
        name = self.settings.mapping("agent_credentials").get(principal)
        if name is None:
            return None
        return Keys.parse(self.connection.credentials.secret(name), name)

    def check_caller(self) -> str:
        """Return the executor's own ARN, after a look that this is the account that the plan means.

        Raises:
            Denied: it is another account.
            Unreachable: nobody answers there.
        """
        try:
            caller = self.call("sts", "get_caller_identity")
        except (Denied, CredentialsExpired):
            raise
        except ProviderError as error:
            raise Unreachable(
                f"AWS in {self.region} {error.what}", where=f"account {self.id}", remedy="try again"
            ) from error
        if caller["Account"] != self.id:
            raise Denied(
                f"the executor's credentials belong to account {caller['Account']}, not to {self.id}",
                where=f"account {self.id}",
                remedy="correct `account`, `as`, `profile` or `credential` of the reach",
            )
        return str(caller["Arn"])

    def close(self) -> None:
        """Let go of connections."""
        with self._gate:
            clients, self._clients = list(self._clients.values()), {}
        with self._agents_gate:
            agents, self._agents = list(self._agents.values()), {}
        for client in (*clients, *agents):
            client.close()

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        where = self._region_of(service, region)
        with self._gate:
            if (service, where) not in self._clients:
                self._clients[service, where] = self._executor.client(service, where)
            return self._clients[service, where]

    def _region_of(self, service: str, region: str) -> str:
        return GLOBAL[self.settings.partition] if service in _GLOBAL_SERVICES else region

    def _waited_for(self, make: Callable[[], T]) -> T:
        """Make a call of a reading, as long as its patience lasts.

        Raises:
            ProviderError: what the service refused; of a throttled one also for how long it was asked.
        """
        if self._patience is None:
            return make()
        clock = self.connection.clock
        began_s = clock.monotonic_s()
        try:
            return self._patience.tried(make)
        except Throttled as error:
            waited_s = round(clock.monotonic_s() - began_s)
            words = f"{error.what}, for {waited_s} s" if waited_s else error.what
            raise Throttled(words, where=error.where) from error.__cause__

    def _made(self, make: Callable[[], T], service: str, operation: str) -> T:
        """Make a call at the service's rate, and slow down where it is refused for that."""
        self._pace.wait(service, operation)
        try:
            answer = self._translated(make, operation, f"{service}:{operation}")
        except CredentialsExpired as error:
            told = self._executor.expired(error)
            self._executor.renew()
            raise told from error.__cause__
        except Throttled:
            self._pace.throttled(service, operation)
            raise
        if isinstance(answer, Mapping) and answer.get("ResponseMetadata", {}).get("RetryAttempts"):
            self._pace.throttled(service, operation)  # the SDK itself was refused once
        return answer

    def _translated(self, make: Callable[[], T], operation: str, where: str) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return make()
        except (BotoCoreError, ClientError) as error:
            raise translate(error, operation, where) from error


def _operation(client: Any, method: str) -> str:  # noqa: ANN401 - boto3 makes its clients at run time
    """Return the API's own name (``PutRolePolicy``) of boto3's method."""
    return str(client.meta.method_to_api_mapping[method])
