"""Knows what a secret looks like: the shapes of tokens, and the places where a secret is written in the open.

Every finder returns spans (start, end, rule) over the bytes that it was given. It rather takes too much than
too little: a value goes on through ``&`` and ``;``, and a token to the end of its run. No finder may take
more than linear time, since the agent writes the logs that are read here: no pattern has an unbounded repeat
in front of something that can fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Span = tuple[int, int, str]

MAX_PEM = 16_384
MAX_VALUE = 16_384
MAX_BRACKETS = 4_096


@dataclass(frozen=True, slots=True)
class Shape:
    """A token that its own form gives away."""

    rule: str
    needs: tuple[bytes, ...]
    """One of these stands in whatever matches: a search for plain bytes is ten times cheaper."""
    pattern: re.Pattern[bytes]


def _shape(rule: str, needs: str, pattern: bytes) -> Shape:
    return Shape(rule, tuple(word.encode() for word in needs.split()), re.compile(pattern))


SHAPES = (
    _shape("aws-key", "AKIA ASIA ABIA ACCA AROA AIDA", rb"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{12,}"),
    _shape(
        "aws-session", "IQoJb3JpZ2lu FwoGZXIvYXdz FQoGZXIvYXdz", rb"(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[\w+/=]*"
    ),
    _shape("gcp-key", "AIza", rb"AIza[\w-]{16,}"),
    _shape("gcp-token", "ya29. GOCSPX- 1//", rb"(?:ya29\.|GOCSPX-|1//)[\w.-]{8,}"),
    _shape("github", "gh github_pat_", rb"(?:gh[pousr]_|github_pat_)\w{6,}"),
    _shape("gitlab", "gl", rb"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{6,}"),
    _shape("slack", "xox xapp-", rb"(?:xox[a-z]-|xapp-)[\w-]{6,}"),
    _shape("slack-hook", "hooks.slack.com/", rb"hooks\.slack\.com/[\w/]{6,}"),
    _shape("stripe", "k_live_ k_test_ whsec_", rb"(?:[a-z]k_(?:live|test)_|whsec_)[\w+/=]{6,}"),
    _shape("model-key", "sk- hf_ gsk_ xai-", rb"(?:sk-|hf_|gsk_|xai-)[\w-]{12,}"),
    _shape("registry", "npm_ pypi- dop_v1_ dckr_pat_", rb"(?:npm_|pypi-|dop_v1_|dckr_pat_)[\w-]{12,}"),
    _shape("sendgrid", "SG.", rb"SG\.[\w-]{6,}(?:\.[\w-]+)?"),
    _shape("vault", "hvs. hvb. hvr.", rb"hv[sbr]\.[\w-]{8,}"),
    _shape("age", "AGE-SECRET-KEY-", rb"AGE-SECRET-KEY-\w{6,}"),
    _shape("telegram", ":AA", rb"\b\d{6,12}:AA[\w-]{20,}"),
    _shape("jwt", "eyJ", rb"eyJ[\w-]{8,}(?:\.[\w-]*)*"),
    _shape("hash", "$", rb"\$(?:1|2[abxy]|5|6|7|y|gy|argon2\w{0,4}|scrypt)\$[\w./$,=+-]{8,}"),
)

_TOKEN_TAIL = re.compile(rb"[\w+/=~%.:-]*")
_WORDS = (
    rb"passphrase|passw(?:or)?d|passwd|pass|pwd|secret|token|cred|cookie|auth(?!or(?!i))|session|signature|"
    rb"dsn|conn(?:ection)?[_. -]?str|jwt|bearer|otp|webhook|key|salt|\bsig|[_-]sig"
)
SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
_NAMED = re.compile(
    rb"(?P<word>" + _WORDS + rb")[\w.\-]{0,64}(?P<quote>\\{0,8}[\"'])?[\])]?[ \t]{0,8}(?:=>|:=|==?|:(?!//))"
    rb"[ \t]{0,64}(?:\\?\r?\n[ \t]{0,64})?",
    re.IGNORECASE,
)
_FLAG = re.compile(rb"(?<!\w)--?[\w-]{0,32}?(?:" + _WORDS + rb")[\w-]{0,32}[ \t]{1,8}(?=\S)", re.IGNORECASE)
_NETRC = re.compile(rb"\b(?:password|passwd|passphrase|account)[ \t]{1,8}(?=\S)", re.IGNORECASE)
_SCHEME = re.compile(rb"\b(?:bearer|basic|digest|negotiate|apikey)[ \t]{1,8}([\w+/=.~:-]{8,})", re.IGNORECASE)
_PGPASS = re.compile(
    rb"^[^:\s]{1,255}:(?:\d{1,5}|\*):[^:\s]{1,255}:[^:\s]{1,255}:(\S.{0,1000})$", re.MULTILINE
)
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----")
_PEM_END = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----")
_PEM_BODY = re.compile(rb"(?:[A-Za-z0-9+/=,:\\ \t-]{0,200}(?:\r?\n|\Z)){0,400}")
_WHOLE_LINE = re.compile(rb"pass|pwd|secret|cred|auth|cookie", re.IGNORECASE)
_RUN = re.compile(rb"(?:\\(?:\r?\n[ \t]*|.)|[^\s\\])*", re.DOTALL)
_LINE = re.compile(rb"(?:\\\r?\n|[^\r\n])*")
_BLOCK = re.compile(rb"[|>][+-]?\d?[ \t]*\r?\n(?:[ \t]+[^\n]*(?:\n|\Z)|[ \t]*\n){0,400}")
_UNSPACED = re.compile(rb"\S+")
_QUOTED = re.compile(rb"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_BRACKETS = re.compile(rb"\"(?:[^\"\\]|\\.)*\"|[\[\]{}]", re.DOTALL)


def shapes(data: bytes) -> Iterator[Span]:
    """Find tokens that their own form gives away, each to the end of its run."""
    for shape in SHAPES:
        if any(word in data for word in shape.needs):
            for match in shape.pattern.finditer(data):
                tail = _TOKEN_TAIL.match(data, match.end())
                yield match.start(), tail.end() if tail else match.end(), shape.rule


def private_keys(data: bytes) -> Iterator[Span]:
    """Find PEM private keys, also where line breaks are written out and where the end is missing."""
    if b"PRIVATE KEY" not in data:
        return
    at = 0
    while (opening := _PEM.search(data, at)) is not None:
        closing = _PEM_END.search(data, opening.end(), opening.end() + MAX_PEM)
        body = _PEM_BODY.match(data, opening.end())
        at = closing.end() if closing else body.end() if body else opening.end()
        yield opening.start(), at, "private-key"


def named(data: bytes) -> Iterator[Span]:
    """Find values that stand behind a secret's name: ``PASSWORD=x``, ``"token": "x"``, ``--api-key x``."""
    at = 0
    while (match := _NAMED.search(data, at)) is not None:
        at = value_end(
            data, match.end(), quoted=match["quote"] is not None, line=bool(_WHOLE_LINE.match(match["word"]))
        )
        at = max(at, match.end())
        inside = match["quote"] is not None and data[match.end() : match.end() + 1] in {b'"', b"'"}
        yield match.end() + inside, at - inside, "named"
    for pattern in (_FLAG, _NETRC):
        for match in pattern.finditer(data):
            line = pattern is _NETRC or _WHOLE_LINE.search(match[0]) is not None
            yield match.end(), value_end(data, match.end(), quoted=False, line=line), "named"


def schemes(data: bytes) -> Iterator[Span]:
    """Find what follows an HTTP authentication scheme, and the lines of a .pgpass file."""
    for match in _SCHEME.finditer(data):
        yield *match.span(1), "bearer"
    if b":" in data:
        for match in _PGPASS.finditer(data):
            yield *match.span(1), "pgpass"


def urls(data: bytes) -> Iterator[Span]:
    """Find what stands before the ``@`` of a URL or of a JDBC address, up to the last ``@`` of the run."""
    if b"@" not in data:
        return
    for run in _UNSPACED.finditer(data):
        text = run[0]
        last = text.rfind(b"@")
        opening = text.find(b"://")
        first = opening + 3 if opening >= 0 else text.find(b"jdbc:") + 5 if b"jdbc:" in text else -1
        if 0 <= first < last:
            yield run.start() + first, run.start() + last, "url"


def value_end(data: bytes, start: int, *, quoted: bool, line: bool) -> int:
    """Return where the value that begins at `start` ends, rather too late than too early.

    `quoted` says that the name stood in quotes, as in JSON: then a closing quote really ends the value.
    Without it a quote may be part of the secret, and the run around it goes too.
    """
    opening = data[start : start + 1]
    if opening and opening in b"\"'":
        closing = _closing_quote(data, start)
        if closing is None:
            return _end_of(_LINE, data, start)
        return closing if quoted else _end_of(_RUN, data, closing)
    if escaped := re.compile(rb"\\{1,8}[\"']").match(data, start):
        closing = data.find(escaped[0], escaped.end(), start + MAX_VALUE)
        return _end_of(_RUN, data, closing if closing >= 0 else start)
    if opening and opening in b"[{":
        return _closing_bracket(data, start)
    if block := _BLOCK.match(data, start):
        return block.end()
    return _end_of(_LINE if line and not quoted else _RUN, data, start)


def _end_of(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = pattern.match(data, start)
    return match.end() if match else start


def _closing_quote(data: bytes, start: int) -> int | None:
    """Return the index behind the quote that closes the one at `start`; None when there is none in reach."""
    match = _QUOTED.match(data, start, start + MAX_VALUE)
    return match.end() if match else None


def _closing_bracket(data: bytes, start: int) -> int:
    """Return the index behind the bracket that closes the one at `start`, or as far as one may reach."""
    depth, stop = 0, min(len(data), start + MAX_BRACKETS)
    for token in _BRACKETS.finditer(data, start, stop):
        depth += (token[0] in b"[{") - (token[0] in b"]}")
        if depth == 0:
            return token.end()
    return stop
