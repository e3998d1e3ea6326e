"""Takes secrets out of journal entries, field by field, before anything of them is written.

Journald itself sets the fields that begin with one underscore (systemd.journal-fields(7)): there the redactor
looks at values alone. In all others the client chose the name too, and a secret's name gives its value away.
"""

from __future__ import annotations

import re
from dataclasses import replace

from breakglass.provider.redact_rules import SECRET_NAME
from breakglass_host.journald.export_format import Entry, Field
from breakglass_host.redact import OVERLAP, Redactor

LARGEST_VALUE = 256 * 1024
"""Of what is longer the first and the last half of this are kept."""
_CALL = 64
_LONG = 65_536
_MOST_REMEMBERED = 50_000
_MOST_OPEN_KEYS = 1_000
_MOST_KEY_LINES = 400
_IDENTIFIERS = frozenset(
    (
        b"_BOOT_ID",
        b"_MACHINE_ID",
        b"_STREAM_ID",
        b"_SYSTEMD_INVOCATION_ID",
        b"OBJECT_SYSTEMD_INVOCATION_ID",
        b"INVOCATION_ID",
        b"USER_INVOCATION_ID",
        b"MESSAGE_ID",
    )
)
_IDENTIFIER = re.compile(rb"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SESSION = re.compile(rb"c?\d{1,8}")
_COMMAND_LINES = frozenset((b"_CMDLINE", b"OBJECT_CMDLINE", b"COREDUMP_CMDLINE"))
_ENVIRONMENT = b"COREDUMP_ENVIRON"
_MEMORY = b"COREDUMP"
_KEY_BEGINS = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY")


class FieldRedactor:
    """Redacts one journal's entries in their order."""

    def __init__(self, redactor: Redactor) -> None:
        """Use what the redactor knows, and count there."""
        self._redactor = redactor
        self._remembered: dict[Field, bytes] = {}
        self._open_keys: dict[tuple[bytes, bytes], int] = {}
        self.changed = 0
        """Entries that something was taken out of."""
        self.shortened = 0
        """Values that were too long."""

    def entry(self, entry: Entry) -> Entry:
        """Return the entry without secrets."""
        fields = tuple((name, self._value(name, value)) for name, value in entry.fields)
        if (key := self._inside_a_key(entry)) is not None:
            fields = tuple((name, key if name == b"MESSAGE" else value) for name, value in fields)
        if fields == entry.fields:
            return entry
        self.changed += 1
        return replace(entry, fields=fields).without_content_hash()

    def _value(self, name: bytes, value: bytes) -> bytes:
        if _is_number(name, value):
            return value
        found = self._remembered.get((name, value))
        if found is None:
            found = self._redacted(name, value)
            if len(self._remembered) < _MOST_REMEMBERED:
                self._remembered[name, value] = found
        return found

    def _redacted(self, name: bytes, value: bytes) -> bytes:
        redactor = self._redactor
        if name in _IDENTIFIERS and _IDENTIFIER.fullmatch(value):
            return redactor.data(value, path=True)
        if name == _MEMORY:
            return b"[LEFT OUT: memory of a process, %d bytes]" % len(value)
        if name == _ENVIRONMENT:
            items = redactor.environment(value.replace(b"\n", b"\0"))
            return "\n".join(items).encode()
        if name[:1] != b"_" and SECRET_NAME.search(name) and not _is_session(name, value):
            return self._marked(name, value)
        if len(value) > LARGEST_VALUE:
            return self._shortened(value)
        if len(value) > _LONG:
            return b"".join(redactor.stream((value,)))
        found = redactor.data(value)
        if name in _COMMAND_LINES:
            found = " ".join(redactor.arguments(found.replace(b" ", b"\0"))).encode()
        return found

    def _shortened(self, value: bytes) -> bytes:
        """Keep both ends of a long value; a secret that is cut in two is taken out up to the cut."""
        self.shortened += 1
        half = LARGEST_VALUE // 2
        ends = (value[: half + OVERLAP], value[-half - OVERLAP :])
        first, last = (b"".join(self._redactor.stream((one,))) for one in ends)
        left_out = b"\n[... the middle of %d bytes left out ...]\n" % len(value)
        return first[:-OVERLAP] + left_out + last[OVERLAP:]

    def _marked(self, name: bytes, value: bytes) -> bytes:
        """Take a value out whole, under the name of its secret, and learn it."""
        whole = name + b"=" + value.replace(b"\0", b"\n")
        return "\n".join(self._redactor.environment(whole)).encode().partition(b"=")[2]

    def _inside_a_key(self, entry: Entry) -> bytes | None:
        """Return what stands for the message, where it is a line of a private key printed line by line."""
        message = entry.first(b"MESSAGE")
        writer = entry.first(b"_PID"), entry.first(b"_STREAM_ID")
        left = self._open_keys.pop(writer, 0)
        begins = list(_KEY_BEGINS.finditer(message))
        if begins and _KEY_ENDS.search(message, begins[-1].end()) is None:
            if len(self._open_keys) < _MOST_OPEN_KEYS:
                self._open_keys[writer] = _MOST_KEY_LINES
            return None
        if not left:
            return None
        ending = _KEY_ENDS.search(message)
        if ending is None and left > 1:
            self._open_keys[writer] = left - 1
        return self._marked(b"PRIVATE_KEY", message) if message else None


def work(field: Field) -> int:
    """Return what it costs to search a field for secrets, in bytes; a call costs as much as some."""
    name, value = field
    return 0 if _is_number(name, value) else _CALL + min(LARGEST_VALUE, len(value))


def _is_number(name: bytes, value: bytes) -> bool:
    return name[:1] == b"_" and value.isdigit()


def _is_session(name: bytes, value: bytes) -> bool:
    return name == b"SESSION_ID" and _SESSION.fullmatch(value) is not None
