"""Reads the `mirrors` of ``breakglass.yaml``: where claims and journals are copied to."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.errors import BreakglassError
from breakglass.kit.agents import Cards
from breakglass.kit.complaints import Complaints, quoted
from breakglass.kit.entries import read_entry
from breakglass.kit.model import MirrorSetting
from breakglass.kit.nodes import Scalar, Table
from breakglass.provider import Card


def read_mirrors(
    tables: Sequence[Table], cards: Cards, complaints: Complaints, *, absent_ok: bool
) -> tuple[MirrorSetting, ...]:
    """Read each mirror, noting what is wrong; its provider must be installed where a kit is checked."""
    found: list[MirrorSetting] = []
    for table in tables:
        entry = next((entry for entry in table.entries if entry.key == "provider"), None)
        if entry is None or not isinstance(entry.value, Scalar) or not isinstance(entry.value.value, str):
            mark = entry.value.mark if entry else table.mark
            complaints.add(mark, 'a mirror names its provider: "provider: aws"')
            continue
        name = entry.value.value
        card = _card(name, cards)
        if card is None and absent_ok:  # it cannot be opened here, and the run says so
            found.append(MirrorSetting(name, {}, str(table.mark)))
            continue
        if card is None or card.mirror is None:
            complaints.add(
                entry.value.mark,
                f"provider: {quoted(name)} has no store for mirrors here",
                "breakglass providers list",
            )
            continue
        rest = Table(tuple(other for other in table.entries if other is not entry), table.mark)
        settings = read_entry(rest, card.mirror_settings, f"a mirror of provider {name}", complaints)
        found.append(MirrorSetting(name, settings, str(table.mark)))
    return tuple(found)


def _card(name: str, cards: Cards) -> Card | None:
    try:
        return cards(name)
    except BreakglassError:
        return None
