"""One text has one answer, whichever of PyYAML's two parsers this Python has: nodes, places, codes and words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.text import yaml_nodes
from calico_rkt.compiler.text.nodes import Mapping, Sequence
from calico_rkt.compiler.text.yaml_python import Loader

GOLDEN = sorted((Path(__file__).parents[1] / "golden").rglob("*.y*ml"))


def with_places(node):
    if isinstance(node, Sequence):
        return (repr(node), node.span, [with_places(item) for item in node.items])
    if isinstance(node, Mapping):
        return (repr(node), node.span, [(with_places(k), with_places(v)) for k, v in node.entries])
    return (repr(node), node.span)


def answer(text, loader):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(yaml_nodes, "_LOADER", loader)
        try:
            return with_places(yaml_nodes.parse_yaml("f", text.encode())), yaml_nodes.comments(text.encode())
        except CompileError as e:
            return [(d, d.span) for d in e.diagnostics]


def both(text):
    return answer(text, yaml.CSafeLoader), answer(text, Loader)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: f"{p.parent.parent.name}/{p.name}")
def test_every_file_of_the_golden_cases_is_the_same_to_both(path):
    text = path.read_bytes().decode("utf-8", "replace")
    in_c, in_python = both(text)
    assert in_c == in_python


words = st.sampled_from(
    ["a", "Allow", "80", "has(x) == 'y'", "10.0.0.0/8", "é", "", "a b", "a\tb", "a\n   b", "x:y", " # no", "- a", "{"]
)
quoted = st.sampled_from([str, repr, lambda text: '"' + text.replace('"', '\\"') + '"'])
scalars = st.builds(lambda text, quote: quote(text), words.filter(lambda w: w not in (" # no", "- a", "{")), quoted)
flow = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(scalars, inner), max_size=3).map(
            lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"
        ),
    ),
    max_leaves=8,
)
lines = st.lists(
    st.builds(
        lambda indent, mark, key, value, end: f"{' ' * indent}{mark}{key}{value}{end}",
        st.sampled_from([0, 0, 2, 2, 4]),
        st.sampled_from(["", "", "- ", "# ", "? "]),
        st.sampled_from(
            ["a: ", "b: ", "e:\t", "a:", "c: |", "d: >-", "", "'q': ", "a: &x ", "a: *x", "a: !t ", "<<: "]
        ),
        st.one_of(st.just(""), flow, words),
        st.sampled_from(["\n", "\n", "\t# word\n", "  # word\n", "\r\n", "\n\n", " \n"]),
    ),
    max_size=7,
).map("".join)


_TOKENS = [*"a:|>-#'\"[]{},%+012\\@`~?", "&x", "*x", "!t", "---", "...", "%a", "<<"]
_BLANKS = [" ", "  ", "\t", "\n", "\n  ", "\n \t", "\r\n", "\t#", ": ", "b: ", "c: |", "? ", "--- ", "%YAML 1.1\n---"]
tokens = st.lists(st.sampled_from(_TOKENS + _BLANKS), max_size=10).map("".join)


@settings(max_examples=1000)
@given(st.one_of(lines, tokens))
@example("a: \nc: |\t# word\n")
@example("|#")
@example(">\n \t#")
@example("[a:]")
@example("[a?b]")
@example("%a\n---\na: 1\n")
@example("{b: \n }")
@example("[? b: \t]")
def test_whatever_both_take_is_the_same_and_what_one_refuses_the_other_does(text):
    in_c, in_python = both(text)
    if isinstance(in_c, tuple) and isinstance(in_python, tuple):
        assert in_c == in_python
    else:
        assert isinstance(in_c, list) == isinstance(in_python, list), (in_c, in_python)


@settings(max_examples=1000)
@given(st.one_of(lines, tokens), st.sampled_from((yaml.CSafeLoader, Loader)))
@example("a:\n \t\n", yaml.CSafeLoader)
@example(" \t", Loader)
def test_what_a_parser_refuses_is_never_an_empty_document(text, loader):
    try:
        list(yaml.parse(text, Loader=loader))
    except yaml.YAMLError:
        assert isinstance(answer(text, loader), list)
