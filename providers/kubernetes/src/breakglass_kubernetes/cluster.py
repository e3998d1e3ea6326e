"""One cluster, as the executor: every call of every action goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from breakglass.errors import BreakglassError, Gone, ProviderError, Transient
from breakglass.provider import Connection
from breakglass_kubernetes.credential import Credential, Shown
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.kubeconfig import Context
from breakglass_kubernetes.listings import Listings
from breakglass_kubernetes.objects import Body
from breakglass_kubernetes.pace import Lane, Pace
from breakglass_kubernetes.patience import Patience
from breakglass_kubernetes.refusals import CredentialsExpired, Failure, TooLong, lost, translate
from breakglass_kubernetes.settings import KubernetesSettings
from breakglass_kubernetes.wire import READ_S, Answer, Wire

T = TypeVar("T")
MANAGER = "breakglass"
"""Our field manager (Kubernetes documentation, "Server-Side Apply")."""
WORKERS = 8
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Cluster:
    """The executor's calls in one cluster."""

    def __init__(
        self, settings: KubernetesSettings, connection: Connection, context: Context, credential: Credential
    ) -> None:
        """Make no call yet."""
        self.settings = settings
        self.connection = connection
        self.context = context
        self._credential = credential
        self._pace, self._patience = Pace(connection.clock), Patience()
        self._wire = Wire(context, credential.now)
        self._listings = Listings(self.ask, self.where)

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return one object. Raises Gone: there is none; ProviderError."""
        return self.ask("GET", kind.path(namespace, name))

    def maybe(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return one object; None: there is none. Raises ProviderError."""
        try:
            return self.get(kind, namespace, name)
        except Gone:
            return None

    def every(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Body]:
        """Return every object of a kind, all pages; `namespace` empty: of all namespaces.

        Items get the ``kind`` and ``apiVersion`` that a list leaves out.

        Raises:
            Gone: the cluster serves no such kind (any more).
            ProviderError: one page failed; what came before it is not the whole.
        """
        return self._listings.every(kind, namespace, labels=labels, fields=fields)

    def list_in(self, kind: Kind, namespaces: Sequence[str], *, fields: str = "") -> list[Body]:
        """Return every object of a kind in these namespaces: one listing of all where that is less."""
        return self._listings.list_in(kind, namespaces, fields=fields)

    # -- changing -----------------------------------------------------------------------------------------

    def create(self, kind: Kind, namespace: str, body: Body, *, dry_run: bool = False) -> Body:
        """Create an object. Raises Transient (``AlreadyExists``), Denied, ProviderError."""
        return self.ask("POST", kind.path(namespace), query=_write(dry_run=dry_run), body=body)

    def replace(self, kind: Kind, body: Body, *, sub: str = "", dry_run: bool = False) -> Body:
        """Put an object back whole; its ``metadata.resourceVersion`` guards the write.

        Raises:
            Transient: somebody changed it meanwhile (409).
            Gone: there is none.
        """
        about = body["metadata"]
        path = kind.path(str(about.get("namespace", "")), str(about["name"]), sub)
        return self.ask("PUT", path, query=_write(dry_run=dry_run), body=body)

    def apply(self, kind: Kind, namespace: str, name: str, fields: Body, *, uid: str, sub: str = "") -> Body:
        """Hold `fields` (``{"spec": {...}}``) of an object as our own by server-side apply, by force.

        `uid` guards it: an object that is gone, or is another one by now, is refused (409), never created.
        An empty `uid` creates what is not there.
        """
        about = {"name": name} | ({"namespace": namespace} if kind.namespaced and namespace else {})
        about |= {"uid": uid} if uid else {}
        more = fields.get("metadata", {})
        body = {
            **fields,
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {**(more if isinstance(more, Mapping) else {}), **about},
        }
        query = {"fieldManager": MANAGER, "force": "true"}
        path = kind.path(namespace, name, sub)
        return self.ask("PATCH", path, query=query, body=body, content_type=APPLY)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Any,  # noqa: ANN401 - JSON
        *,
        content_type: str = MERGE,
        sub: str = "",
    ) -> Body:
        """Change a part; name ``metadata.resourceVersion`` or a JSON-patch ``test`` in it to guard it."""
        path = kind.path(namespace, name, sub)
        return self.ask(
            "PATCH", path, query={"fieldManager": MANAGER}, body=change, content_type=content_type
        )

    def delete(  # noqa: PLR0913 - an object, its guard, and how it ends
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str,
        version: str = "",
        grace_s: int | None = None,
        propagation: str = "",
    ) -> Body:
        """Delete exactly this object: another one under its name is refused (409).

        Returns what the server says: the object, or a Status where it keeps none.

        Raises:
            Gone: there is none.
            Transient: it is another one.
        """
        guard = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": guard}
        body |= {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        body |= {"propagationPolicy": propagation} if propagation else {}
        return self.ask("DELETE", kind.path(namespace, name), body=body)

    # -- calls --------------------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - JSON
        content_type: str = "application/json",
        sent: Callable[[], None] | None = None,
    ) -> Body:
        """Make one call and return the object that comes back; `sent` is called when its turn has come.

        Raises:
            ProviderError: what the server refused, in the engine's words; `failure_of` tells its own.
        """
        answer = self.raw(method, path, query=query, body=body, content_type=content_type, sent=sent)
        try:
            found = answer.json()
        except (ValueError, RecursionError) as error:
            raise Transient("answers something that is no JSON", where=self._of(path)) from error
        if not isinstance(found, Mapping):
            raise Transient("answers something that is no object", where=self._of(path))
        return found

    def raw(  # noqa: PLR0913 - a call, how long it may take, and when it goes
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - JSON
        content_type: str = "application/json",
        read_s: float = READ_S,
        sent: Callable[[], None] | None = None,
        sure: bool = False,
    ) -> Answer:
        """Make one call at the rate limit; return its bytes (a log, say). Raises ProviderError."""
        from urllib3.exceptions import HTTPError

        asks = "/selfsubject" in path or path.endswith("reviews")
        write = method != "GET" and not asks
        self._pace.wait(_lane(path, write=write, asks=asks))
        if sent is not None:
            sent()
        try:
            wait_s = read_s if write else self._patience.for_(path, read_s)
            answer = self._wire.call(
                method, path, query=query, body=body, content_type=content_type, read_s=wait_s
            )
        except (HTTPError, OSError, TooLong) as error:
            self._patience.heard(path, answer=False)
            raise lost(error, self._of(path), write=write) from error
        self._patience.heard(path, answer=True)
        if answer.ok:
            return answer
        failure = Failure.read(answer.status, answer.data)
        if failure.by_authorizer and not sure:
            if not self._wire.ready():
                raise Transient("refuses, and is not ready: it may know no rights yet", where=self._of(path))
            # It may have become so just now.
            again = partial(self.raw, query=query, body=body, content_type=content_type, read_s=read_s)
            return again(method, path, sure=True)
        told = translate(failure, self._of(path), write=write, retry_after=answer.retry_after)
        if answer.status == 429:  # noqa: PLR2004 - RFC 6585 4
            self._pace.throttled()
        if isinstance(told, CredentialsExpired):
            if ended := self._credential.ended:
                told.what = f"{told.what}; {ended}"
            self._renew()
        raise told from failure

    def as_token(self, token: str, method: str, path: str, *, body: Any = None) -> Answer:  # noqa: ANN401 - JSON
        """Make one call as the holder of a token: the agent, with one of its own that is held for proof.

        Its own connection pool and configuration: nothing of the executor's can answer in its place.

        Raises:
            ProviderError: no answer came.
        """
        from urllib3.exceptions import HTTPError

        wire = Wire(self.context, Shown(token=token))
        try:
            return wire.call(method, path, body=body)
        except (HTTPError, OSError, TooLong) as error:
            raise lost(error, self._of(path), write=False) from error
        finally:
            wire.close()

    def each(self, items: Iterable[T], act: Callable[[T], object]) -> None:
        """Do something for every item, several at once; one that fails stops no other.

        Raises:
            ProviderError: some failed: the first of them, with how many more.
        """
        failed: list[BreakglassError] = []

        def attempt(item: T) -> None:
            try:
                act(item)
            except Gone:
                return
            except ProviderError as error:
                failed.append(error)

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="kubernetes") as pool:
            list(pool.map(attempt, items))
        if failed:
            worst = next((one for one in failed if not isinstance(one, Transient)), failed[0])
            if len(failed) > 1:
                worst.what = f"{worst.what} (and {len(failed) - 1} more failed)"
            raise worst

    @property
    def where(self) -> str:
        """Return how messages name this cluster."""
        return f"cluster {self.settings.server}"

    @property
    def shown(self) -> Shown:
        """Return the executor's credential as it is now."""
        return self._credential.now

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()

    def _of(self, path: str) -> str:
        return f"{self.where} {path}"

    def _renew(self) -> None:
        if self._credential.renew():
            old, self._wire = self._wire, Wire(self.context, self._credential.now)
            old.close()


def _write(*, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})


def _lane(path: str, *, write: bool, asks: bool) -> Lane:
    """Return what a call is for."""
    if asks:
        return Lane.PROOF
    if not write:
        return Lane.READ
    return Lane.CUT if "bindings/" in path else Lane.CHANGE
