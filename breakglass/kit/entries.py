"""Reads an entry whose keys a provider's card declares: a reach, or a mirror."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.kit.complaints import Complaints
from breakglass.kit.fields import Field, Kind, Values, read_table
from breakglass.kit.nodes import Table
from breakglass.provider import Setting, SettingType

_KIND = {
    SettingType.TEXT: Kind.TEXT,
    SettingType.TEXTS: Kind.TEXTS,
    SettingType.FLAG: Kind.FLAG,
    SettingType.MAPPING: Kind.MAPPING,
}


def read_entry(table: Table, settings: Sequence[Setting], what: str, complaints: Complaints) -> JsonObject:
    """Return the values of an entry, noting what is wrong with it."""
    fields = [Field(item.name, _KIND[item.type], required=item.required) for item in settings]
    values = read_table(table, fields, what, complaints)
    return {item.name: _value(values, item) for item in settings if values.has(item.name)}


def _value(values: Values, setting: Setting) -> Json:
    match setting.type:
        case SettingType.TEXT:
            return values.text(setting.name)
        case SettingType.TEXTS:
            return list(values.texts(setting.name))
        case SettingType.FLAG:
            return values.flag(setting.name)
        case SettingType.MAPPING:
            return dict(values.mapping(setting.name))
