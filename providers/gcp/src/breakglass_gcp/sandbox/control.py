"""The control address: what tests and drills ask the world from outside."""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import operations, tokens
from breakglass_gcp.sandbox.call import Caller, Raw, Refusal
from breakglass_gcp.sandbox.projects import ADMIN

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.front import Front
    from breakglass_gcp.sandbox.loading import Loaded
    from breakglass_gcp.sandbox.platform import Platform

Verb = Callable[[Mapping[str, Any]], object]
A_YEAR_S = 31_536_000.0


class Control:
    """The verbs of the sandbox itself, and those of the models."""

    def __init__(self, front: Front, loaded: Loaded, platform: Platform) -> None:
        """Gather the verbs."""
        self._front, self._world, self._loaded, self._platform = front, front.world, loaded, platform
        self._verbs: Mapping[str, Verb] = {
            "project": self._project,
            "token": self._token,
            "admin": self._admin,
            "settings": self._settings,
            "advance": self._advance,
            "faults": self._faults,
            "calls": self._calls,
            "audit": self._audit,
            "deeds": self._deeds,
            "effects": self._effects,
            "platform": self._on,
            "state": self._state,
            "reset": self._reset,
        }

    def answer(self, verb: str, raw: bytes) -> Raw:
        """Answer one verb with JSON; 400: it is refused, 404: there is none, 500: it failed."""
        try:
            asked = json.loads(raw or b"{}")
            if verb in self._verbs:
                return Raw.of_json(plain(self._verbs[verb](asked)))
            if verb in self._loaded.controls:
                with self._world.lock:
                    said = self._loaded.controls[verb](self._world, asked)
                    self._world.changed.notify_all()
                return Raw.of_json(plain(said))
        except (Refusal, ValueError, KeyError, TypeError) as error:
            traceback.print_exc(file=sys.stderr)
            return Raw.of_json({"error": f"{verb}: {error!r}"}, 400)
        except Exception as error:  # noqa: BLE001 - the control address tells whatever went wrong
            traceback.print_exc(file=sys.stderr)
            return Raw.of_json({"error": f"{verb}: {error!r}"}, 500)
        return Raw.of_json({"error": f"no control verb {verb!r}"}, 404)

    def _project(self, asked: Mapping[str, Any]) -> object:
        with self._world.lock:
            found = self._world.find_project(str(asked.get("id") or ""))
            record = found or self._world.add_project(str(asked.get("id") or ""), asked.get("services"))
            if found is not None and "services" in asked:
                found.services = None if asked["services"] is None else set(asked["services"])
        return {"project": record.id, "number": record.number, "parent": record.parent}

    def _token(self, asked: Mapping[str, Any]) -> object:
        with self._world.lock:
            life_s = float(asked.get("life_s") or self._world.settings.token_life_s)
            return {"token": self._world.mint(str(asked["principal"]), life_s)}

    def _admin(self, _: Mapping[str, Any]) -> object:
        with self._world.lock:
            return {"token": tokens.keep(self._world, Caller(ADMIN, "user", "admin"), A_YEAR_S)}

    def _settings(self, asked: Mapping[str, Any]) -> object:
        with self._world.lock:
            self._world.settings.change(asked)
        return {}

    def _advance(self, asked: Mapping[str, Any]) -> object:
        with self._world.lock:
            if asked.get("back"):
                self._world.real_time()
            self._world.advance(float(asked.get("seconds", 0)))
            operations.settle_all(self._world)
            self._world.changed.notify_all()
        return {}

    def _faults(self, asked: Mapping[str, Any]) -> object:
        self._front.faults.configure(asked.get("faults", ()), str(asked.get("project") or ""))
        return {}

    def _calls(self, asked: Mapping[str, Any]) -> object:
        return self._front.record.calls(int(asked.get("since", 0)), str(asked.get("project") or ""))

    def _deeds(self, asked: Mapping[str, Any]) -> object:
        return self._front.record.deeds(str(asked["project"]))

    def _audit(self, asked: Mapping[str, Any]) -> object:
        project = str(asked.get("project") or "")
        with self._world.lock:
            return [one for one in self._world.audit if project in ("", one["project"])]

    def _effects(self, asked: Mapping[str, Any]) -> object:
        with self._world.lock:
            return self._world.effects.told(
                str(asked.get("project") or ""), str(asked.get("channel") or ""), int(asked.get("since", 0))
            )

    def _on(self, asked: Mapping[str, Any]) -> object:
        if "on" in asked:
            self._platform.on = bool(asked["on"])
        self._platform.run(int(asked.get("ticks", 0)))
        return {"on": self._platform.on, "ran": self._platform.ran, "failed": self._platform.failed}

    def _state(self, asked: Mapping[str, Any]) -> object:
        with self._world.lock:
            project = self._world.project(str(asked["project"])).id
            return {name: tell(self._world, project) for name, tell in self._loaded.states.items()}

    def _reset(self, _: Mapping[str, Any]) -> object:
        self._platform.on, self._platform.failed = False, ""
        self._front.faults.configure(())
        with self._world.lock:
            self._front.quotas.clear()
            self._front.record.clear()
            self._world.reset()
            for begin in self._loaded.resets:
                begin()
        return {}


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
