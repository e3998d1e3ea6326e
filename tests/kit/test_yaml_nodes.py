"""YAML as plain data: everything has its line, and what YAML can do beyond it is refused where it stands."""

from __future__ import annotations

import time

import pytest

from breakglass.errors import MalformedInput
from breakglass.kit.nodes import MAX_YAML_BYTES, Items, Node, Scalar, Table, parse_yaml


def read(text: str | bytes) -> Node:
    return parse_yaml(text.encode() if isinstance(text, str) else text, file="x.yaml")


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {entry.key: plain(entry.value) for entry in node.entries}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("YES", "YES"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("0123", "0123"),
        ("0o17", "0o17"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("2026-01-31", "2026-01-31"),
        ("1.5", "1.5"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("-0", "-0"),
        ("0", 0),
        ("-17", -17),
        ("9007199254740991", 9007199254740991),
        ("'17'", "17"),
        ('"true"', "true"),
        ("null", None),
        ("~", None),
        ("", None),
        ("''", ""),
        ("=", "="),
        ("a  # note", "a"),
        ("a#b", "a#b"),
        ("[a, 1, {b: no}]", ["a", 1, {"b": "no"}]),
    ],
)
def test_a_value_is_what_was_typed_and_not_what_yaml_1_1_makes_of_it(written: str, value: object) -> None:
    """Words, dates, octals and sexagesimals are text; only true, false and plain integers are not."""
    assert {"key": value} == plain(read(f"key: {written}\n"))


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\nb: &x [1]\n", "2:4", "an anchor (&); write the value out where it is needed"),
        ("a: 1\nb: *x\n", "2:4", "an alias (*); write the value out"),
        ("a: 1\na: 2\n", "2:1", 'duplicate key "a"; it stands on line 1 too'),
        ("x: {a: 1, 'a': 2}\n", "1:11", 'duplicate key "a"; it stands on line 1 too'),
        ("a: !!python/object/apply:os.system [ls]\n", "1:4", "a tag (!); types are known from the key"),
        ("a: !x y\n", "1:4", "a tag (!); types are known from the key"),
        ("a: !!str 5\n", "1:4", "a tag (!); types are known from the key"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document; one file holds one"),
        ("%YAML 1.1\n---\na: 1\n", "1:1", "a directive; plain YAML needs none"),
        ("%TAG ! tag:x,2026:\n---\na: 1\n", "1:1", "a directive; plain YAML needs none"),
        ("a:\n  <<: {b: 1}\n", "2:3", "a merge key (<<); write the values out"),
        ("? [a]\n: 1\n", "1:3", "a key must be a text"),
        ("'': 1\n", "1:1", "a key must be a text"),
        ("", "1:1", "the file is empty"),
        ("# only this\n", "1:1", "the file is empty"),
        ("a: 1\n\tb: 2\n", "2:1", "a tab; indent with spaces"),
        ("a: b\u202ec\n", "1:5", "character U+202E may not stand in text that people read"),
        ("# b\u200bc\na: 1\n", "1:4", "character U+200B may not stand in text that people read"),
        ("a: b\u2028c\n", "1:5", "character U+2028 may not stand in text that people read"),
        ("\ufeffa: 1\n", "1:1", "character U+FEFF may not stand in text that people read"),
        ("a: b\x00c\n", "1:5", "character U+0000 may not stand in text that people read"),
        ("a: b\rc\n", "1:5", "character U+000D may not stand in text that people read"),
        ('a: "b\\x1b[31m"\n', "1:4", "character U+001B may not stand in text that people read"),
        ('a: "b\\u202e"\n', "1:4", "character U+202E may not stand in text that people read"),
        ('a: "b\\L"\n', "1:4", "character U+2028 may not stand in text that people read"),
        ('"a\\0": 1\n', "1:1", "character U+0000 may not stand in text that people read"),
        (
            "a: " + "9" * 20 + "\n",
            "1:4",
            f'number {"9" * 20} is too large; if it is a text, quote it: "{"9" * 20}"',
        ),
        ("a: " + "x" * 4001 + "\n", "1:4", "longer than 4000 characters"),
    ],
)
def test_what_yaml_can_do_beyond_data_is_refused_where_it_stands(text: str, where: str, what: str) -> None:
    """Anchors, aliases, tags, duplicate keys, second documents and hidden characters are named by place."""
    with pytest.raises(MalformedInput) as caught:
        read(text)

    assert (f"x.yaml:{where}", what) == (caught.value.where, caught.value.what)
    assert 2 == caught.value.exit_code


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1,\n", 2), ("a: 'b\n", 2), ("a: b: c\n", 1), ("a: @b\n", 1), ("- a\nb: c\n", 2)]
)
def test_what_is_not_yaml_is_named_with_its_line(text: str, line: int) -> None:
    """The parser's own words follow, for a broken bracket as for a stray sign."""
    with pytest.raises(MalformedInput, match="not YAML: ") as caught:
        read(text)

    assert caught.value.where.startswith(f"x.yaml:{line}:")


def test_bytes_that_are_not_utf8_are_named_with_their_line() -> None:
    """A byte that is no UTF-8 stands on a line too."""
    with pytest.raises(MalformedInput, match="not UTF-8 at byte 9") as caught:
        read(b"a: 1\nb: c\xff\n")

    assert "x.yaml:2:1" == caught.value.where


def test_an_anchor_bomb_is_refused_at_its_first_anchor() -> None:
    """Nine lines that would expand to a billion texts cost nothing."""
    lines = ['a: &a ["lol","lol"]']
    lines += [
        f"{new}: &{new} [*{old},*{old},*{old},*{old}]"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    started = time.monotonic()
    with pytest.raises(MalformedInput, match="an anchor") as caught:
        read("\n".join(lines))

    assert "x.yaml:1:4" == caught.value.where
    assert time.monotonic() - started < 20


def test_deep_nesting_is_refused_before_it_can_exhaust_the_stack() -> None:
    """A hundred thousand open brackets are refused at the seventeenth."""
    with pytest.raises(MalformedInput, match="nested more than 16 deep") as caught:
        read("[" * 100_000)

    assert "x.yaml:1:18" == caught.value.where


def test_a_document_that_is_too_large_is_refused_unparsed() -> None:
    """One byte over the cap is too much."""
    with pytest.raises(MalformedInput, match=f"larger than {MAX_YAML_BYTES} bytes"):
        read(b"#" * (MAX_YAML_BYTES + 1))


@pytest.mark.parametrize("libyaml", [True, False])
def test_both_parsers_refuse_the_same_dangers(*, libyaml: bool) -> None:
    """PyYAML without libyaml is slower, and no laxer."""
    for text in (
        "a: &x 1",
        "a: *x",
        "a: !!str 1",
        "a: 1\na: 2",
        "%YAML 1.1\n---\na: 1",
        "--- 1\n--- 2",
        "[" * 99,
    ):
        with pytest.raises(MalformedInput):
            parse_yaml(text.encode(), file="x", libyaml=libyaml)


def test_places_count_from_one_and_columns_in_characters() -> None:
    """An editor jumps to the place that a message names, also behind an umlaut."""
    table = read("ä: {ö: [u, {k: v}]}\r\nnext: x\r\n")

    assert isinstance(table, Table)
    first, second = table.entries
    assert ("x.yaml:1:1", "x.yaml:1:4", "x.yaml:2:7") == (
        str(first.mark),
        str(first.value.mark),
        str(second.value.mark),
    )
