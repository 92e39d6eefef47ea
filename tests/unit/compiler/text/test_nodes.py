import subprocess
import sys

import pytest

from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.text.json_nodes import parse_json
from calico_rkt.compiler.text.nodes import LARGEST, Mapping, Scalar, Sequence, is_null
from calico_rkt.compiler.text.yaml_nodes import parse_yaml


def problems(data):
    with pytest.raises(CompileError) as caught:
        parse_yaml("p.yaml", data)
    return caught.value.diagnostics


def places(data):
    return [(d.code, d.span.line, d.span.column, d.span.end_column) for d in problems(data)]


def plain(node):
    """The node as Python values, scalars as their own text."""
    if isinstance(node, Mapping):
        return {k.text: plain(v) for k, v in node.entries}
    if isinstance(node, Sequence):
        return [plain(i) for i in node.items]
    return node.text


def test_scalars_keep_their_own_text():
    text = b'a: 20:21\nb: no\nc: 010\nd: 0x1f\ne: "80"\nf: 2001-01-01\ng: 1_000\n'
    expected = {"a": "20:21", "b": "no", "c": "010", "d": "0x1f", "e": "80", "f": "2001-01-01", "g": "1_000"}
    assert plain(parse_yaml("p.yaml", text)) == expected


def test_a_scalar_knows_whether_it_stood_in_quotes():
    node = parse_yaml("p.yaml", b"- null\n- 'null'\n- \"a\"\n- a\n- |\n  a\n")
    assert [i.plain for i in node.items] == [True, False, False, True, False]


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"~", b"null\n", b"---\n...\n"])
def test_an_empty_document_is_null(text):
    assert is_null(parse_yaml("p.yaml", text))


def test_null_is_told_from_the_text_null():
    node = parse_yaml("p.yaml", b"a:\nb: ~\nc: null\nd: 'null'\ne: ''\nf: []\n")
    assert [is_null(v) for _, v in node.entries] == [True, True, True, False, False, False]


def test_every_node_knows_its_line_and_columns_in_characters():
    node = parse_yaml("p.yaml", "ключ: [один, два]\r\nb:\r\n- x: 1\r\n  y: z\r\n".encode())
    (key, first), (_, second) = node.entries
    assert (key.span.line, key.span.column, key.span.end_column) == (1, 1, 5)
    assert first.span.text == "ключ: [один, два]"
    assert [(i.text, i.span.column, i.span.end_column) for i in first.items] == [("один", 8, 12), ("два", 14, 17)]
    assert (first.span.column, first.span.end_column) == (7, 18)
    assert (second.span.line, second.items[0].span.line, second.items[0].get("y").span.line) == (3, 3, 4)


def test_duplicate_keys_are_all_reported_with_both_places():
    found = problems(b"a: 1\nb:\n  x: 1\n  'x': 2\na: 3\n")
    assert [(d.code, d.span.line) for d in found] == [("CR107", 4), ("CR107", 5)]
    assert "first in line 1, column 1" in found[1].message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a:\n\tb: 1\n\tc: 2\n", [("CR105", 2, 1, 2), ("CR105", 3, 1, 2)]),
        (b"a: b\n\tc\n", [("CR105", 2, 1, 2)]),
        (b"a: 1\nb: h\xe9llo\n", [("CR102", 2, 5, 9)]),
        (b"\xef\xbb\xbfa: 1\n", [("CR103", 1, 1, 2)]),
        (b"a: b\x00c\nd: \xe2\x80\xaex\n", [("CR104", 1, 5, 6), ("CR104", 2, 4, 5)]),
        (b"a: 1\rb: 2\n", [("CR104", 1, 5, 6)]),
        (b"a: \xc2\x85\n", [("CR104", 1, 4, 5)]),
        ("a: x\U000e0041\n".encode(), [("CR104", 1, 5, 6)]),
        ("a: x\u3164\n".encode(), [("CR104", 1, 5, 6)]),
        (b"a: &x [1]\nb: *x\n", [("CR108", 1, 4, 8), ("CR108", 2, 4, 6)]),
        (b"a: !!str 1\nb: !foo {}\n", [("CR109", 1, 4, 11), ("CR109", 2, 4, 10)]),
        (b"c:\n  <<: {b: 2}\n", [("CR110", 2, 3, 5)]),
        (b"a: 1\n---\nb: 2\n", [("CR111", 2, 1, 4)]),
        (b"[" * 100_000, [("CR112", 1, 65, 66)]),
        (b"? [a]\n: b\n", [("CR113", 1, 3, 6)]),
        (b"a: b: c\n", [("CR106", 1, 5, 6)]),
        (b"a: [1, 2\nb: 3\n", [("CR106", 1, 4, 5)]),
        (b"b: 1\na: 'x\n\n\n", [("CR106", 2, 4, 5)]),
        (b"a: %x\n", [("CR106", 1, 4, 5)]),
        (b"a: - b\n", [("CR106", 1, 4, 5)]),
        (b'a: "\\d"\n', [("CR106", 1, 5, 6)]),
        (b"%YAML 9.9\n---\na: 1\n", [("CR106", 1, 1, 2)]),
        (b"a:\n \t\n", [("CR105", 2, 2, 3)]),
        (b"a: &x 1\nb: [\n", [("CR108", 1, 4, 8), ("CR106", 2, 4, 5)]),
    ],
)
def test_what_hides_the_meaning_is_refused_at_its_place(data, expected):
    assert places(data) == expected


def test_an_alias_bomb_is_refused_before_it_grows():
    bomb = b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 60))
    assert {d.code for d in problems(bomb)} == {"CR108"}


def test_utf16_is_named():
    (found,) = problems("a: 1".encode("utf-16"))
    assert (found.code, found.where) == ("CR103", "p.yaml")


def test_a_file_too_large_is_refused_with_the_limit():
    (found,) = problems(b"a" * (LARGEST + 1))
    assert found.code == "CR101"
    assert "8,388,608" in found.message


def test_a_thousand_hidden_characters_give_a_short_report():
    assert len(problems(b"\x01" * 1000)) == 20


def test_the_report_shows_line_caret_and_way_out():
    assert render_diagnostics(problems(b"name: web\nports: [80, 443\n")) == (
        "p.yaml:2:8: CR106 error: not YAML: while parsing a flow sequence: "
        "did not find expected ',' or ']'\n"
        "    2 | ports: [80, 443\n"
        "      |        ^\n"
        "  = a list or mapping in brackets needs commas, and its closing bracket\n"
    )


def test_ten_thousand_rules_are_read_whole():
    rule = '- {{action: Allow, source: {{nets: [10.{}.{}.0/24]}}, destination: {{ports: [80, "8000:8100"]}}}}\n'
    node = parse_yaml("p.yaml", "".join(rule.format(i >> 8, i & 255) for i in range(10_000)).encode())
    assert len(node.items) == 10_000
    assert node.items[9_999].span.line == 10_000


def test_pure_pyyaml_gives_the_same_nodes(monkeypatch):
    import yaml

    from calico_rkt.compiler.text import yaml_nodes

    text = b"a: {b: [1, 'x'], c: }\nd:\n- default\n- |\n  t\n"
    expected = parse_yaml("p.yaml", text)
    monkeypatch.setattr(yaml_nodes, "_LOADER", yaml.SafeLoader)
    found = parse_yaml("p.yaml", text)
    assert found == expected
    assert found.entries[0][1].span == expected.entries[0][1].span


def json_problems(data, *, forgiving=False):
    with pytest.raises(CompileError) as caught:
        parse_json("n.conf", data, forgiving=forgiving, largest=1 << 20)
    return [
        (d.code, d.severity.value, *((d.span.line, d.span.column) if d.span else ())) for d in caught.value.diagnostics
    ]


def test_json_values_have_their_places():
    text = b'{"a": [1, -2.5e3,\r\n\t"x\\u00e9\\ud83d\\ude00", null], "b": {"c": true}}'
    node, found = parse_json("n.conf", text, forgiving=False, largest=1 << 20)
    assert found == ()
    assert plain(node) == {"a": ["1", "-2.5e3", "xé😀", "null"], "b": {"c": "true"}}
    items = node.get("a").items
    assert [(i.plain, i.span.line, i.span.column, i.span.end_column) for i in items] == [
        (True, 1, 8, 9),
        (True, 1, 11, 17),
        (False, 2, 2, 23),
        (True, 2, 25, 29),
    ]
    assert node.get("b").get("c") == Scalar("true", plain=True, place=items[0].span)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ("CR121", "error")),
        (b"{", ("CR121", "error", 1, 1)),
        (b'{"a": 1\n "b": 2}', ("CR121", "error", 2, 2)),
        (b"{'a': 1}", ("CR121", "error", 1, 2)),
        (b"{a: 1}", ("CR121", "error", 1, 2)),
        (b'{"a": True}', ("CR121", "error", 1, 7)),
        (b'{"a": 01}', ("CR121", "error", 1, 8)),
        (b'{"a": 1} x', ("CR121", "error", 1, 10)),
        (b'{"a": "b\nc"}', ("CR121", "error", 1, 9)),
        (b'{"a": "\\d"}', ("CR121", "error", 1, 8)),
        (b'{"a": "b}', ("CR121", "error", 1, 7)),
        (b'{"a": 1,, "b": 2}', ("CR121", "error", 1, 9)),
        (b"[,]", ("CR121", "error", 1, 2)),
        (b'{"a": 1, "a": 2}', ("CR107", "error", 1, 10)),
        (b'{"a": NaN}', ("CR124", "error", 1, 7)),
        (b'{"a": -Infinity}', ("CR124", "error", 1, 7)),
        (b'{"a": "\\ud800"}', ("CR125", "error", 1, 7)),
        (b"[" * 100_000, ("CR112", "error", 1, 65)),
        (b"[" * 70 + b"]" * 70, ("CR112", "error", 1, 65)),
        (b'{"a":' * 5_000, ("CR112", "error", 1, 321)),
        (b'{"a":' * 70, ("CR112", "error", 1, 321)),
        (b'{"a": 1,,' + b"[" * 70, ("CR121", "error", 1, 9)),
        (b"\xef\xbb\xbf{}", ("CR103", "error", 1, 1)),
        (b'{"a": "\xff"}', ("CR102", "error", 1, 8)),
        (b'{"a": "\x00"}', ("CR104", "error", 1, 8)),
        (b" " * (1 << 20) + b"{}", ("CR101", "error")),
    ],
)
def test_what_is_not_strict_json_is_refused_forgiving_or_not(data, expected):
    assert json_problems(data) == [expected]
    assert json_problems(data, forgiving=True) == [expected]


LOOSE = b'// a note, "quoted",}\n{"a": ["x,]", 1, /* two\nlines */ ], # more\n "b": "// no comment" , \n}\n'


def test_commas_and_comments_are_all_refused_by_default():
    assert json_problems(LOOSE) == [
        ("CR123", "error", 1, 1),
        ("CR123", "error", 2, 18),
        ("CR122", "error", 2, 16),
        ("CR123", "error", 3, 13),
        ("CR122", "error", 4, 23),
    ]


def test_commas_and_comments_are_warnings_where_forgiven_and_places_stay():
    node, found = parse_json("n.conf", LOOSE, forgiving=True, largest=1 << 20)
    assert plain(node) == {"a": ["x,]", "1"], "b": "// no comment"}
    assert not any(d.is_error for d in found)
    assert len(found) == 5
    assert all("rkt will refuse the file" in d.message for d in found)
    assert (node.get("b").span.line, node.get("b").span.column) == (4, 7)


def test_a_real_mistake_behind_a_forgiven_one_is_reported_with_it():
    assert json_problems(b'{"a": [1,], "b" 2}', forgiving=True) == [
        ("CR122", "warning", 1, 9),
        ("CR121", "error", 1, 17),
    ]


def test_reading_json_loads_no_yaml():
    code = "import calico_rkt.compiler.text.json_nodes, sys; print({'yaml', 'jinja2'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
