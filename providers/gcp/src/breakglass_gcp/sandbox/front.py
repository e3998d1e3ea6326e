"""What happens to every call, however it came: caller, faults, budgets, enabled services, handler, record."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from breakglass_gcp.sandbox import audited, operations, service_usage, tokens
from breakglass_gcp.sandbox.call import Call, Raw, Refusal, RestRequest
from breakglass_gcp.sandbox.faults import Fault, Faults, nothing_done, without
from breakglass_gcp.sandbox.projects import above_projects, location_in, project_in, resource_of
from breakglass_gcp.sandbox.quotas import Quotas
from breakglass_gcp.sandbox.record import Record, is_read, method_name
from breakglass_gcp.sandbox.sources import api_of
from breakglass_gcp.sandbox.world import World

FAILED = 400
Handler = Callable[[World, Call], Any]


@dataclass(slots=True)
class Front:
    """The one way to a handler."""

    world: World
    handlers: Mapping[str, Handler]
    open: AbstractSet[str] = frozenset()
    """Methods that also answer those who show no token."""
    resources: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """What a request is about, for methods whose fields and path do not name it."""
    faults: Faults = field(default_factory=Faults)
    quotas: Quotas = field(default_factory=Quotas)
    record: Record = field(default_factory=Record)

    def answer(self, method: str, request: Any, headers: Mapping[str, str], transport: str) -> Any:  # noqa: ANN401 - whatever the handler answers
        """Answer one call.

        Raises:
            Refusal: it is refused; it is recorded either way.
        """
        call = self._call(method, request, headers, transport)
        code, fault, said = "OK", None, None
        try:
            fault = self._begin(call)
            with self.world.answering(call):
                operations.settle_all(self.world)
                self._admit(call)
                said = nothing_done(call.method) if fault and fault.no_effect else self._handled(call)
                if fault and fault.unreachable:
                    said = without(call.method, fault.unreachable)
            if isinstance(said, Raw) and said.status >= FAILED:
                code = f"HTTP_{said.status}"
            _lose(fault)
        except Refusal as refusal:
            code = refusal.code
            raise
        except Exception as error:
            code = "INTERNAL"
            traceback.print_exc(file=sys.stderr)
            raise Refusal("INTERNAL", f"the sandbox failed at {method}: {error!r}") from error
        finally:
            self._remember(call, code, fault, said)
        return said

    def stream(self, method: str, requests: Any, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - messages
        """Answer a call whose messages stream; its handler runs without the lock and gives an iterator.

        Raises:
            Refusal: it is refused before its first message.
        """
        call = self._call(method, requests, headers, "grpc")
        code, fault = "OK", None
        try:
            fault = self._begin(call)
            with self.world.lock:
                self._admit(call)
            return self._handled(call)
        except Refusal as refusal:
            code = refusal.code
            raise
        finally:
            self._remember(call, code, fault)

    def _call(self, method: str, request: Any, headers: Mapping[str, str], transport: str) -> Call:  # noqa: ANN401 - as above
        params = request.params if isinstance(request, RestRequest) else None
        tell = self.resources.get(method)
        resource = tell(request) if tell is not None else resource_of(request, params)
        with self.world.lock:
            record = self.world.find_project(project_in(resource)) if project_in(resource) else None
            resource = self.world.normal(resource)
        project = record.id if record else project_in(resource)
        return Call(self.world, method, request, None, project, resource, transport, headers)

    def _begin(self, call: Call) -> Fault | None:
        """Find out who calls, and misbehave if ordered: the network fails before the service decides."""
        with self.world.lock:
            refused = None
            try:
                call.caller = tokens.caller_of(self.world, call.headers.get("authorization", ""))
            except Refusal as refusal:
                refused = refusal
        principal = call.caller.principal if call.caller is not None else ""
        if above_projects(call.resource):
            # Service Usage documentation, "Quota project": of what is in none, the caller's own counts.
            call.project = project_in(principal)
        fault = self.faults.take(call.method, call.project, location_in(call.resource), principal)
        if fault is not None:
            self.faults.wait(fault)
            call.operation_fault = fault.operation
            if not fault.after and (ordered := fault.refusal()) is not None:
                raise ordered
        if refused is not None and call.method not in self.open:
            raise refused
        return fault

    def _admit(self, call: Call) -> None:
        api = api_of(call.method)
        record = self.world.find_project(call.project) if call.project else None
        if record is not None and api and not record.enabled(api):
            raise Refusal(
                "PERMISSION_DENIED",
                f"{api} has not been used in project {record.number} before or it is disabled.",
                reason="SERVICE_DISABLED",
                metadata={"service": api, "consumer": f"projects/{record.number}"},
            )
        if record is not None and api:
            service_usage.refuse_restricted(self.world, record, api)
        if call.project or not above_projects(call.resource):
            self.quotas.spend(self.world, call.method, call.project)

    def _handled(self, call: Call) -> Any:  # noqa: ANN401 - as above
        handler = self.handlers.get(call.method)
        if handler is None:
            raise Refusal("UNIMPLEMENTED", f"the sandbox does not model {call.method}")
        return handler(self.world, call)

    def _remember(self, call: Call, code: str, fault: Fault | None, answer: object = None) -> None:
        told = self.record.add(call, code, "" if fault is None else fault.words)
        if not is_read(call.method):
            with self.world.lock:
                self.world.audit.append(
                    {
                        "at_s": self.world.now_s(),
                        "n": told["n"],
                        "principal": told["principal"],
                        "service": api_of(call.method),
                        "method": method_name(call.method),
                        "resource": call.resource,
                        "project": call.project,
                        "code": code,
                        **audited.told(call, answer),
                    }
                )


def _lose(fault: Fault | None) -> None:
    """Refuse a call that was carried out, where a fault orders that its answer is lost."""
    if fault is not None and fault.after and (lost := fault.refusal()) is not None:
        raise lost
