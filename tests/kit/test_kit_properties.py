"""Whatever stands in the files, a kit is read or refused: nothing else ever comes out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from breakglass.errors import BreakglassError, MalformedInput
from breakglass.kit.nodes import Items, Mark, Node, Scalar, Table, parse_yaml
from tests.kit.kits import AGENT, RUNBOOK, SETTINGS, load_draft, write_kit

FILES = {
    "breakglass.yaml": SETTINGS,
    "agents/support-bot.yaml": AGENT,
    "runbooks/hush.yaml": RUNBOOK,
}
STRUCTURE = ("", " ", "\n", "\n  ", "- ", ": ", "[", "]", "{", "}", "'", '"', "|\n", ">\n", "? ", "---\n")
SURPRISES = ("&a ", "*a", "!!x ", "#", "%YAML 1.2\n", "true", "12", "~", "null", "0123", "<<: ")
HIDDEN = ("\t", "\x00", "\u202e", "\u2028", "\ud7ff", "\u00e9")
TOKENS = st.sampled_from((*STRUCTURE, *SURPRISES, *HIDDEN))
PLAIN_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


def marks(node: Node) -> list[Mark]:
    """Return the places of a node and all below it."""
    if isinstance(node, Table):
        inner = [mark for entry in node.entries for mark in (entry.mark, *marks(entry.value))]
    else:
        inner = [mark for item in node.items for mark in marks(item)] if isinstance(node, Items) else []
    return [node.mark, *inner]


@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"a: \xc2\x85")
@example(b"a:\r\n - b\r\n")
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    """And every place that is named lies in the file."""
    try:
        node = parse_yaml(data, file="x")
    except MalformedInput as error:
        assert error.where.startswith("x")  # noqa: PT017 - both ways out are right
        return
    lines = data.decode().split("\n")

    assert all(1 <= mark.line <= len(lines) + 1 and mark.column >= 1 for mark in marks(node))


@given(st.lists(TOKENS | PLAIN_TEXT, max_size=40))
def test_random_yaml_is_read_or_refused(tokens: list[str]) -> None:
    """Text that looks like YAML reaches deeper than bytes do."""
    try:
        parse_yaml("".join(tokens).encode("utf-8", "surrogatepass"), file="x")
    except MalformedInput as error:
        assert error.what  # noqa: PT017 - both ways out are right


@given(
    st.recursive(PLAIN_TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN_TEXT, inner))
)
def test_what_pyyaml_writes_is_read_back_as_text(value: object) -> None:
    """Quoted texts, nested lists and tables survive the way there and back."""
    written = yaml.safe_dump(value, default_style='"', allow_unicode=True)

    assert value == _plain(parse_yaml(written.encode(), file="x"))


def _plain(node: Node) -> object:
    if isinstance(node, Table):
        return {entry.key: _plain(entry.value) for entry in node.entries}
    if isinstance(node, Items):
        return [_plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, str]:
    """Return a file of a good kit with one stretch of it replaced."""
    name = draw(st.sampled_from(sorted(FILES)))
    text = FILES[name]
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 30)))
    middle = "".join(draw(st.lists(TOKENS | PLAIN_TEXT, max_size=5)))
    return name, text[:start] + middle + text[end:]


@settings(max_examples=150, deadline=None)
@given(mutations())
def test_a_kit_with_any_stretch_replaced_is_read_or_refused(mutation: tuple[str, str]) -> None:
    """No mistake of a person ends in a traceback, and each refusal names a place in the kit."""
    name, text = mutation
    with tempfile.TemporaryDirectory() as folder:
        kit = write_kit(Path(folder), {name: text.encode("utf-8", "surrogatepass")})
        try:
            load_draft(kit)
        except BreakglassError as error:
            assert 2 == error.exit_code  # noqa: PT017 - both ways out are right
            assert error.where.startswith(str(kit))  # noqa: PT017 - as above


@given(st.lists(TOKENS | PLAIN_TEXT, max_size=30))
@example(["%YAML 1.1\n", "---\n", "a"])
@example(["a: &x 1"])
@example(["a: !y 1"])
@example(["a: 1\n", "---\n", "b: 2\n"])
def test_both_parsers_of_pyyaml_read_the_same(tokens: list[str]) -> None:
    """Without libyaml a kit means the same: the two may differ in what they refuse, never in a value."""
    data = "".join(tokens).encode("utf-8", "surrogatepass")
    first, second = (_outcome(data, libyaml=libyaml) for libyaml in (True, False))

    assert first is None or second is None or _plain(first) == _plain(second)


def _outcome(data: bytes, *, libyaml: bool) -> Node | None:
    try:
        return parse_yaml(data, file="x", libyaml=libyaml)
    except MalformedInput:
        return None
