"""Takes secrets out of unit files and of what ``systemctl show`` prints, and leaves readable what is none.

A line is ``Name=value``. As one word it looks random to a redactor, and so does a long path; so the name is
set apart, and words that are paths are taken for paths. Values of credentials go whole (systemd.exec(5)).
"""

from __future__ import annotations

import re

from breakglass_host.redact import Redactor

_LINE_END = re.compile(rb"(?<!\\)\n")
_SETTING = re.compile(rb"([ \t]*[A-Za-z][A-Za-z0-9-]{0,63}[ \t]*=)(.*)", re.DOTALL)
_PATH = re.compile(rb"[-@:+!|~\"']{0,4}/")
_WORD = re.compile(rb"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s]+", re.DOTALL)
_ENVIRONMENT = b"environment"
_IDS = frozenset((b"invocationid", b"id128", b"bootid", b"machineid"))


def redacted(redactor: Redactor, data: bytes) -> bytes:
    """Return the text without secrets."""
    if b"PRIVATE KEY" in data:
        return b"".join(redactor.stream((data,)))
    return b"\n".join(_line(redactor, line) for line in _LINE_END.split(data))


def _line(redactor: Redactor, line: bytes) -> bytes:
    found = _SETTING.fullmatch(line)
    if found is None:
        return redactor.data(line)
    name = found[1].strip(b" \t=").lower()
    if name == _ENVIRONMENT:
        return found[1] + _WORD.sub(lambda word: _variable(redactor, word[0]), found[2])
    if name.startswith(b"setcredential") and found[2]:
        return found[1] + _marked(redactor, b"SECRET", found[2])
    if name in _IDS:
        return found[1] + redactor.data(found[2], path=True)
    value = redactor.data(found[2], path=True)
    words = value.split(b" ")
    shown = redactor.arguments(b"\0".join(words)) if b"\0" not in value else []
    if len(shown) != len([word for word in words if word]) and len(shown) != len(words):
        return found[1] + redactor.data(found[2])
    pairs = zip(words, shown, strict=False)
    kept = [word if _PATH.match(word) and b"REDACTED" not in word else new.encode() for word, new in pairs]
    return found[1] + b" ".join(kept)


def _variable(redactor: Redactor, word: bytes) -> bytes:
    quote = word[:1] if word[:1] in {b'"', b"'"} else b""
    inner = word[1:-1] if quote else word
    items = redactor.environment(inner.replace(b"\0", b"\n"))
    return quote + "".join(items).encode() + quote


def _marked(redactor: Redactor, name: bytes, value: bytes) -> bytes:
    return (
        "".join(redactor.environment(name + b"=" + value.replace(b"\0", b"\n"))).encode().partition(b"=")[2]
    )
