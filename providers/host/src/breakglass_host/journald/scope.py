"""Says which entries of a journal are an agent's: what journalctl is asked for, from signed parameters.

Only fields that journald itself sets decide (systemd.journal-fields(7)): whoever can log may write ``UNIT=``.
What an agent forges stands in its own entries and is exported with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.errors import MalformedInput
from breakglass.model.resource import Resource
from breakglass_host import safepath
from breakglass_host.systemd import unit_name

_COREDUMP = "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1"
"""SD_MESSAGE_COREDUMP of sd-messages.h."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose entries, and since when."""

    units: tuple[str, ...]
    uid: int | None
    since_s: int
    """Seconds since 1970 by the clock of the host."""

    @property
    def empty(self) -> bool:
        """Return True where nothing says whose entries."""
        return not self.units and self.uid is None

    def matches(self) -> list[str]:
        """Return the arguments that choose the entries: terms side by side must all hold, ``+`` is "or"."""
        terms: list[list[str]] = []
        for unit in self.units:
            terms += [
                [f"_SYSTEMD_UNIT={unit}"],
                ["_PID=1", f"UNIT={unit}"],
                ["_UID=0", f"OBJECT_SYSTEMD_UNIT={unit}"],
                [_COREDUMP, "_UID=0", f"COREDUMP_UNIT={unit}"],
            ]
            if unit.endswith(".slice"):
                terms.append([f"_SYSTEMD_SLICE={unit}"])
            if unit_name.is_template(unit):
                terms.append([f"_SYSTEMD_SLICE={_slice_of_instances(unit)}"])
        if self.uid is not None:
            fields = (
                "_UID",
                "_SYSTEMD_OWNER_UID",
                "_AUDIT_LOGINUID",
                "OBJECT_UID",
                "OBJECT_SYSTEMD_OWNER_UID",
            )
            own = [f"{field}={self.uid}" for field in fields]
            terms += [[one] if one.startswith("_") else ["_UID=0", one] for one in own]
            terms.append([_COREDUMP, "_UID=0", f"COREDUMP_UID={self.uid}"])
            terms.append([f"_SYSTEMD_SLICE=user-{self.uid}.slice"])
        arguments: list[str] = []
        for term in terms:
            arguments += ["+", *term] if arguments else term
        return arguments

    def params(self) -> dict[str, Json]:
        """Return what is signed."""
        return {"journal_units": [*self.units], "journal_uid": self.uid, "journal_since_s": self.since_s}


def of(resource: Resource) -> Scope:
    """Read the scope from a signed target.

    Raises:
        MalformedInput: the parameters are not those of a scope.
    """
    named = resource.params.get("journal_units")
    units = tuple(one for one in named if isinstance(one, str)) if isinstance(named, list | tuple) else ()
    if wrong := [one for one in units if unit_name.complaint(one)]:
        raise MalformedInput(f"{safepath.shown(wrong[0])[:80]} is no unit's name", where=resource.id)
    since_s = safepath.number_param(resource, "journal_since_s")
    if since_s is None or since_s < 0:
        raise MalformedInput("parameter 'journal_since_s' is not a number", where=resource.id)
    uid = safepath.number_param(resource, "journal_uid")
    return Scope(units, uid, since_s)


def _slice_of_instances(template: str) -> str:
    """Return the slice that instances run in unless their file names another (systemd.service(5))."""
    prefix = template.partition("@")[0].replace("\\", "\\x5c").replace("-", "\\x2d")
    return f"system-{prefix}.slice"
