"""All that is: projects, tables of the models, policies, tokens, operations; one lock over all."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

from breakglass_gcp.sandbox import operations
from breakglass_gcp.sandbox.call import Call, Refusal
from breakglass_gcp.sandbox.effects import Effects
from breakglass_gcp.sandbox.history import History
from breakglass_gcp.sandbox.projects import ProjectRecord
from breakglass_gcp.sandbox.settings import Settings

FIRST_NUMBER = 400_000_000_001


class World:
    """The state of the sandbox.

    Models keep what they have in `table(name)`; hold `lock` for whatever is not done in a handler, a tick or
    a control (those hold it already). `changed` is a condition on the same lock: `world.changed.wait(0.1)`
    lets others in meanwhile.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.settings = Settings()
        self.effects = Effects()
        self.config = History(self.now_s, lambda: self.settings.visibility_delay_s)
        """What the evaluator sees late: ("policy", resource), ("account", unique id), ("deny", name) ..."""
        self.projects: dict[str, ProjectRecord] = {}
        self.operations: dict[str, operations.Pending] = {}
        self.pending: list[operations.Pending] = []
        """Those that have not ended."""
        self.audit: list[dict[str, Any]] = []
        """Every write call, oldest first (Cloud Audit "activity")."""
        self.rest, self.grpc = "", ""
        """Own addresses, ``http://127.0.0.1:PORT``."""
        self._tables: dict[str, dict[str, Any]] = {}
        self._advanced_s = 0.0
        self._ids = itertools.count(1)
        self._running = threading.local()

    def now_s(self) -> float:
        """Return the world's time in seconds since 1970; the control verb ``advance`` moves it on."""
        return time.time() + self._advanced_s

    clock = now_s

    def advance(self, seconds: float) -> None:
        """Move the world's time on."""
        self._advanced_s += seconds

    def real_time(self) -> None:
        """Take back every advance."""
        self._advanced_s = 0.0

    def date(self) -> str:
        """Return what REST answers say in their `Date`: the world's time, unless the settings say else."""
        said = self.settings.date
        return formatdate(self.now_s(), usegmt=True) if said == "now" else said

    def table(self, name: str) -> dict[str, Any]:
        """Return a model's table by name; the same one each time until a reset."""
        return self._tables.setdefault(name, {})

    def new_id(self, digits: int = 19) -> str:
        """Return a number that was not given before, of so many digits, as Google's numeric ids are."""
        return str(10 ** (digits - 1) + next(self._ids) * 7919)

    def project(self, name: str) -> ProjectRecord:
        """Return a project by id, number or ``projects/...``.

        Raises:
            Refusal: NOT_FOUND.
        """
        found = self.find_project(name)
        if found is None:
            raise Refusal("NOT_FOUND", f"Project '{name}' not found or permission denied.")
        return found

    def find_project(self, name: str) -> ProjectRecord | None:
        """Return a project by id, number or ``projects/...``; None when there is none."""
        short = name.removeprefix("projects/").partition("/")[0]
        if short in self.projects:
            return self.projects[short]
        return next((one for one in self.projects.values() if one.number == short), None)

    def normal(self, name: str) -> str:
        """Return a relative resource name with the project's id instead of its number."""
        if not name.startswith("projects/"):
            return name
        found = self.find_project(name)
        rest = name.split("/", 2)[2:]
        return "/".join([f"projects/{found.id}", *rest]) if found else name

    def add_project(self, project: str = "", services: list[str] | None = None) -> ProjectRecord:
        """Make a project, owned by the administrator.

        Raises:
            ValueError: there is one of that id.
        """
        number = str(FIRST_NUMBER + next(self._ids) * 31)
        project = project or f"sandbox-{number[-6:]}"
        if project in self.projects:
            raise ValueError(f"there is a project {project} already")
        record = ProjectRecord(project, number, services=None if services is None else set(services))
        self.projects[project] = record
        return record

    def policy(self, resource: str) -> Any:  # noqa: ANN401 - google.iam.v1.Policy
        """Return the newest allow policy of a resource (an empty one when none was set)."""
        from google.iam.v1 import policy_pb2

        held = self.config.get(("policy", self.normal(resource)))
        policy = policy_pb2.Policy()
        policy.CopyFrom(held if held is not None else policy_pb2.Policy(etag=b"\x00"))
        return policy

    def put_policy(self, resource: str, policy: Any, *, at_once: bool = False) -> Any:  # noqa: ANN401 - as above
        """Set the allow policy of a resource under a new etag and return it; no etag is compared here."""
        from google.iam.v1 import policy_pb2

        kept = policy_pb2.Policy(version=policy.version, audit_configs=policy.audit_configs)
        for binding in policy.bindings:
            # IAM keeps one binding for a role and a condition, and each member of it once.
            same = (
                one for one in kept.bindings if (one.role, one.condition) == (binding.role, binding.condition)
            )
            into = next(same, None) or kept.bindings.add(role=binding.role)
            if binding.HasField("condition"):
                into.condition.CopyFrom(binding.condition)
            into.members.extend(one for one in binding.members if one not in into.members)
        kept.etag = int(self.new_id()).to_bytes(8, "big")
        self.config.put(("policy", self.normal(resource)), kept, at_once=at_once)
        return kept

    def operation(
        self,
        kind: str,
        name: str,
        response: Any = None,  # noqa: ANN401 - a message, mapping or callable
        metadata: Any = None,  # noqa: ANN401 - a message or mapping
        takes_s: float = 0.05,
        finish: Callable[[], None] | None = None,
    ) -> Any:  # noqa: ANN401 - google.longrunning.Operation, or a mapping
        """Start a long-running operation and return it.

        `name` is what it is about or under (``projects/P/locations/L``, ``policies/X/...``); its own
        name is ``NAME/operations/KIND-N``. A mapping (or ``{}``) as response: the service has no messages and
        the operation is a mapping, too; a callable is asked when it ends. `finish` runs when it ends.
        """
        pending = operations.begin(
            self,
            f"{name}/operations/{kind}-{self.new_id()}",
            response=response,
            metadata=metadata,
            takes_s=takes_s,
            finish=finish,
        )
        if isinstance(response, Mapping) or isinstance(metadata, Mapping):
            return operations.as_json(pending)
        return operations.as_message(pending)

    def mint(self, principal: str, life_s: float = 3600.0) -> str:
        """Return a new bearer token of a principal.

        Raises:
            Refusal: there is no such account.
        """
        from breakglass_gcp.sandbox import tokens

        return tokens.mint(self, principal, life_s)

    @property
    def current(self) -> Call | None:
        """Return the call that this thread is answering."""
        return getattr(self._running, "call", None)

    @contextmanager
    def answering(self, call: Call) -> Iterator[None]:
        """Hold the lock and remember the call."""
        with self.lock:
            before, self._running.call = self.current, call
            try:
                yield
            finally:
                self._running.call = before
                self.changed.notify_all()

    def reset(self) -> None:
        """Begin again, empty."""
        with self.lock:
            self._tables.clear()
            self.projects.clear()
            self.operations.clear()
            self.pending.clear()
            self.audit.clear()
            self.config.clear()
            self.effects.clear()
            self.settings = Settings()
            self._advanced_s = 0.0
