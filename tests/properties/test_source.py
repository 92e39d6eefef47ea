"""Random and mutilated files: the doors answer with values or with diagnostics that can be shown, never otherwise."""

import json

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.text.json_nodes import parse_json
from calico_rkt.compiler.text.nodes import Mapping, Scalar, Sequence
from calico_rkt.compiler.text.yaml_nodes import parse_yaml

YAML_PIECES = st.sampled_from(
    [
        *(
            "a",
            "b: ",
            ": ",
            "- ",
            "\n",
            "\n  ",
            "\n\t",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "'",
            '"',
            "&x ",
            "*x",
            "!t ",
            "<<: ",
            "#",
        ),
        *("---\n", "...\n", "? ", "|\n", "%", "\r\n", "\r", "\x00", "é", "😀", "\\u12", "~", "%YAML 1.1\n", "\ufeff"),
    ]
)
JSON_PIECES = st.sampled_from(
    [
        *(
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"name"',
            '"a"',
            '"',
            "1",
            "null",
            "true",
            "NaN",
            "//",
            "/*",
            "*/",
            "#",
            "\n",
            "\t",
        ),
        *(
            "\\",
            "\\ud800",
            "é",
            "😀",
            " ",
            "'",
            '"type":"calico"',
            '"ipam":{"type":"host-local","subnet":"10.1.0.0/16"}',
        ),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "type", "ipam", "subnet", "ranges", "mtu", "routes", "x"]), inner)
    ),
    max_leaves=10,
)


def assert_shown(error: CompileError) -> None:
    text = render_diagnostics(error.diagnostics)
    assert any(d.is_error for d in error.diagnostics)
    assert all(line.isprintable() for line in text.split("\n"))
    for d in error.diagnostics:
        if d.span is not None:
            assert d.span.line >= 1
            assert 1 <= d.span.column < d.span.end_column
            assert d.span.column <= len(d.span.text) + 1


@given(st.one_of(st.lists(YAML_PIECES, max_size=14).map("".join).map(str.encode), st.binary(max_size=60)))
def test_any_bytes_are_yaml_or_diagnostics(data):
    try:
        parse_yaml("p.yaml", data)
    except CompileError as e:
        assert_shown(e)


@given(
    st.one_of(st.lists(JSON_PIECES, max_size=14).map("".join).map(str.encode), st.binary(max_size=60)), st.booleans()
)
def test_any_bytes_are_a_conf_or_diagnostics(data, preview):
    try:
        parse_conf(data, "n.conf", preview=preview)
    except CompileError as e:
        assert_shown(e)


@given(VALUES, st.booleans())
def test_any_json_is_a_conf_or_diagnostics(value, preview):
    try:
        parse_conf(json.dumps(value).encode(), "n.conf", preview=preview)
    except CompileError as e:
        assert_shown(e)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_json_nodes_are_what_the_json_says(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    node, found = parse_json("n.conf", text.encode(), forgiving=False, largest=1 << 20)
    assert found == ()
    assert as_python(node) == value


def as_python(node):
    if isinstance(node, Mapping):
        return {k.text: as_python(v) for k, v in node.entries}
    if isinstance(node, Sequence):
        return [as_python(i) for i in node.items]
    assert isinstance(node, Scalar)
    return json.loads(node.text) if node.plain else node.text
