"""The strict parser and the canonical form, against RFC 8785 and against hostile bytes."""

from __future__ import annotations

import time

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from breakglass.canon import MAX_INTEGER, Json, Profile, canonical, parse, parse_canonical, sha256, unreadable
from breakglass.errors import MalformedInput

MB = 1_000_000
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Co", "Cs", "Cn")), max_size=20)
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)


def documents(keys: st.SearchStrategy[str], text: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    """Generate JSON values with these keys and strings."""
    leaves: st.SearchStrategy[Json] = st.none() | st.booleans() | INTEGERS | text
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
        max_leaves=25,
    )


def human(data: bytes) -> Json:
    """Parse what a person signs."""
    return parse(data, where="plan.json", max_bytes=MB)


def data(text: bytes) -> Json:
    """Parse what a machine recorded."""
    return parse(text, where="journal", profile=Profile.DATA, max_bytes=MB)


@given(documents(KEYS, TEXT))
def test_the_canonical_form_is_that_of_rfc_8785(value: Json) -> None:
    """Inside the subset that the parser admits, an independent implementation agrees byte for byte."""
    assert rfc8785.dumps(value) == canonical(value)


@given(documents(KEYS, TEXT))
def test_what_is_written_is_read_back_equal(value: Json) -> None:
    """Parse undoes canonical, and canonical after parse changes no byte."""
    written = canonical(value)

    assert value == human(written)
    assert written == canonical(human(written))


@given(documents(ANY_TEXT, ANY_TEXT))
def test_the_data_profile_carries_whatever_a_file_name_may_hold(value: Json) -> None:
    """Control and format characters pass in records of machines, unchanged."""
    assert value == data(canonical(value))


@given(st.binary(max_size=200))
def test_hostile_bytes_are_parsed_or_refused_and_nothing_else(raw: bytes) -> None:
    """No input ends in anything but a value or one clear error."""
    try:
        value = human(raw)
    except MalformedInput:
        return

    assert value == human(canonical(value))


@given(documents(KEYS, TEXT), st.data())
def test_one_changed_byte_of_a_document_never_reads_as_the_same_document(
    value: Json, draw: st.DataObject
) -> None:
    """A byte that is changed is refused, or makes another document: nothing is normalised away."""
    raw = bytearray(canonical({"value": value}))
    at = draw.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= draw.draw(st.integers(1, 255))
    try:
        changed = parse_canonical(bytes(raw), where="plan.json", max_bytes=MB)
    except MalformedInput:
        return

    assert canonical(changed) == bytes(raw)
    assert sha256(canonical({"value": value})) != sha256(bytes(raw))


REFUSED = [
    pytest.param(b'{"n":1.0}', "is not an integer", id="float"),
    pytest.param(b'{"n":1e2}', "is not an integer", id="exponent"),
    pytest.param(b'{"n":1e400}', "is not an integer", id="infinity by overflow"),
    pytest.param(b'{"n":NaN}', "is not an integer", id="NaN"),
    pytest.param(b'{"n":-Infinity}', "is not an integer", id="infinity"),
    pytest.param(b'{"n":-0}', "is not an integer", id="minus zero"),
    pytest.param(b'{"n":9007199254740992}', "out of range", id="2**53"),
    pytest.param(b'{"n":-9007199254740992}', "out of range", id="-2**53"),
    pytest.param(b'{"n":' + b"9" * 10_000 + b"}", "out of range", id="ten thousand digits"),
    pytest.param(b'{"n":01}', "not JSON", id="leading zero"),
    pytest.param(b'{"a":1,"a":2}', "duplicate key 'a'", id="duplicate key"),
    pytest.param(b'{"a":1,"\\u0061":2}', "duplicate key 'a'", id="duplicate key by escape"),
    pytest.param(b'[{"b":{"a":1,"a":1}}]', "duplicate key 'a'", id="duplicate key deep inside"),
    pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte-order mark"),
    pytest.param(b"{}\x00", "not JSON", id="NUL after the end"),
    pytest.param(b"{}{}", "not JSON", id="two documents"),
    pytest.param(b"", "not JSON", id="nothing"),
    pytest.param(b"{'a':1}", "not JSON", id="single quotes"),
    pytest.param(b'{"a":1,}', "not JSON", id="trailing comma"),
    pytest.param(b'{"a":"\n"}', "not JSON", id="raw newline in a string"),
    pytest.param(b'{"a":"\xff"}', "not UTF-8 at byte 6", id="not UTF-8"),
    pytest.param(b'{"a":"\xc0\xaf"}', "not UTF-8 at byte 6", id="overlong UTF-8"),
    pytest.param(b'{"a":"\xed\xa0\x80"}', "not UTF-8 at byte 6", id="surrogate in UTF-8"),
    pytest.param(b'{"a":"\\ud800"}', "character U+D800", id="lone surrogate"),
    pytest.param(b'{"a":"\\udc00\\ud800"}', "character U+DC00", id="surrogates in the wrong order"),
    pytest.param(b'{"a":"\\u202e"}', "character U+202E", id="right-to-left override"),
    pytest.param(b'{"a":"\\u2066"}', "character U+2066", id="bidi isolate"),
    pytest.param(b'{"a":"pay\\u200bpal"}', "character U+200B", id="zero-width space"),
    pytest.param(b'{"a":"\\ufeff"}', "character U+FEFF", id="zero-width no-break space"),
    pytest.param(b'{"a":"\\u001b[2J"}', "character U+001B", id="escape sequence"),
    pytest.param(b'{"a":"\\u0000"}', "character U+0000", id="NUL by escape"),
    pytest.param(b'{"a":"\\u0085"}', "character U+0085", id="C1 control"),
    pytest.param(b'{"a":"\\ue000"}', "character U+E000", id="private use"),
    pytest.param('{"a":"\U000e0041"}'.encode(), "character U+E0041", id="tag character"),
    pytest.param(b'{"Key":1}', "key 'Key'", id="upper-case key"),
    pytest.param('{"к":1}'.encode(), "key", id="key of another script"),
    pytest.param(b'{"a\\n":1}', "key", id="newline in a key"),
    pytest.param(b'{"":1}', "key ''", id="empty key"),
    pytest.param(b"[" * 66 + b"]" * 66, "nested too deeply", id="66 lists deep"),
    pytest.param(b"[" * 400_000, "nested too deeply", id="deeper than the interpreter's stack"),
    pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply", id="deep objects"),
]


@pytest.mark.parametrize(("raw", "complaint"), REFUSED)
def test_what_people_sign_holds_nothing_that_can_be_read_two_ways(raw: bytes, complaint: str) -> None:
    """Each attack on the parser is refused for its own reason."""
    with pytest.raises(MalformedInput) as caught:
        human(raw)

    assert complaint in caught.value.what


@pytest.mark.parametrize("raw", [b'{"a":"\\ud800"}', b'{"\\udfff":1}'], ids=["string", "key"])
def test_the_data_profile_refuses_what_utf_8_cannot_carry(raw: bytes) -> None:
    """A lone surrogate could not be written back."""
    with pytest.raises(MalformedInput, match="lone surrogate"):
        data(raw)


def test_a_syntax_error_is_placed() -> None:
    """The message names file, line and column."""
    with pytest.raises(MalformedInput) as caught:
        human(b'{\n  "a": tru\n}')

    assert "plan.json:2:8" == caught.value.where


def test_a_hundred_megabytes_are_refused_without_being_read() -> None:
    """The size is looked at first: refusing takes no time that grows with the input."""
    raw = b"[" * 100_000_000
    started = time.process_time()
    with pytest.raises(MalformedInput, match="larger than 1000000 bytes"):
        human(raw)

    assert time.process_time() - started < 0.05


@pytest.mark.parametrize(
    "raw", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1}\n', b'{"a":"\\u0062"}', b'{"a":"\\/"}']
)
def test_a_document_in_another_form_is_not_the_signed_one(raw: bytes) -> None:
    """Signatures cover raw bytes, so there is one spelling of each document."""
    with pytest.raises(MalformedInput, match="not in canonical form"):
        parse_canonical(raw, where="plan.json", max_bytes=MB)


def test_a_signed_document_is_an_object() -> None:
    """A bare list or number is no document."""
    with pytest.raises(MalformedInput, match="expected an object"):
        parse_canonical(b"[]", where="plan.json", max_bytes=MB)


def test_the_depth_and_the_range_that_are_allowed_are_allowed() -> None:
    """The limits are where they are said to be."""
    assert human(b"[" * 65 + b"]" * 65)
    assert {"n": MAX_INTEGER} == human(b'{"n":9007199254740991}')
    assert {"n": -MAX_INTEGER} == human(b'{"n":-9007199254740991}')
    assert {"n": 0} == human(b'{"n":0}')


def test_text_of_any_script_is_readable() -> None:
    """People are named in their own letters; only what cannot be seen is refused."""
    assert None is unreadable("Zoë Ångström 山田 👩 مرحبا")
    assert "U+200D" == unreadable("a\u200db")
