import subprocess
import sys

import pytest

from calico_rkt.compiler.ir.selector import ALL, Op, Selector, all_of, any_of, has, negate
from calico_rkt.compiler.ir.selector_parser import LONGEST_SELECTOR, MAX_DEPTH, SelectorError, parse_selector


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("all()", "all()"),
        (" (all( ) )", "all()"),
        ("has(a)", "has(a)"),
        ("has( a )", "has(a)"),
        ("a=='b'", 'a == "b"'),
        ("a!='\"'", "a != '\"'"),
        ('a == "\'"', 'a == "\'"'),
        ("a startswith 'x'", 'a starts with "x"'),
        ("a ends  with 'x'", 'a ends with "x"'),
        ("a\tcontains'x'", 'a contains "x"'),
        ("a in {'d', 'a','a' ,'b',}", 'a in {"a", "b", "d"}'),
        ("a in {}", "a in {}"),
        ("a notin{'x'}", 'a not in {"x"}'),
        ("! (has( b)||! has(a ))", "!(has(b) || !has(a))"),
        ("!!! has(a)", "!has(a)"),
        ("!(!(has(a)))", "has(a)"),
        ("a == 'b' && (has(c) || has(d))", 'a == "b" && (has(c) || has(d))'),
        ("(a == 'b' && has(c)) || has(d)", 'a == "b" && has(c) || has(d)'),
        ("has(b) || (has(c) || has(a))", "has(b) || has(c) || has(a)"),
        ("has == 'x' && all != 'y' && in in {'z'}", 'has == "x" && all != "y" && in in {"z"}'),
        ("a/b.c_d-e == 'é'", 'a/b.c_d-e == "é"'),
    ],
)
def test_a_selector_is_read_as_calico_reads_it_and_printed_in_one_form(text, canonical):
    assert str(parse_selector(text)) == canonical
    assert parse_selector(canonical) == parse_selector(text)


@pytest.mark.parametrize(
    ("text", "offset", "says"),
    [
        ("", 0, "empty"),
        (" \t", 0, "empty"),
        ("b", 1, "after the label b, found the end"),
        ("a b", 2, "found b"),
        ("b == b", 5, "in quotes"),
        ("a = 'b'", 2, "found ="),
        ("a == 'b", 5, "no closing '"),
        ("a == \"b'", 5, 'no closing "'),
        ("a == 'b'\n", 8, "line break"),
        ("a == 'b' c", 9, "expected && or ||"),
        ("a == 'b' & c == 'd'", 9, "single &"),
        ("a == 'b' | c == 'd'", 9, "single |"),
        ("a == 'b' and c == 'd'", 9, "expected && or ||, found and"),
        ("a in 'b'", 5, "set in braces"),
        ("a in {'b' 'c'}", 10, "expected , or }"),
        ("a in {,}", 6, "in quotes"),
        ("a in {'b'", 9, "the end"),
        ("a not 'b'", 2, "found not"),
        ("a starts 'b'", 2, "found starts"),
        ("has (a)", 4, "no blank"),
        ("has()", 4, "label name"),
        ("has(a", 5, "close has("),
        ("all(x)", 4, "close all("),
        ("(has(a)", 7, "for the ( at character 1"),
        ("()", 1, "found )"),
        (")", 0, "found )"),
        ("!", 1, "found the end"),
        ("has(a) &&", 9, "found the end"),
        ("%", 0, "found %"),
        ("global()", 0, "namespaces"),
        ("has(a) || a == 'global('", 16, "namespaces"),
        ("a" * 513 + "=='b'", 0, "513 characters"),
        ("!" * 1023, 1023, "found the end"),
        ("a == '" + "b" * LONGEST_SELECTOR + "'", LONGEST_SELECTOR, "1031 characters"),
        ("(" * 400 + "has(a)" + ")" * 400, MAX_DEPTH, "parentheses"),
    ],
)
def test_what_calico_refuses_is_refused_with_its_place(text, offset, says):
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert (caught.value.offset, says in str(caught.value)) == (offset, True), str(caught.value)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a == ''", {"a": ""}, True),
        ("a == 'x'", {}, False),
        ("a != 'x'", {}, True),
        ("a != 'x'", {"a": "x"}, False),
        ("a in {'x'}", {}, False),
        ("a not in {'x'}", {}, True),
        ("a not in {}", {"a": "x"}, True),
        ("a in {}", {"a": ""}, False),
        ("has(a)", {"a": ""}, True),
        ("has(a)", {"b": ""}, False),
        ("a contains ''", {}, False),
        ("a contains ''", {"a": ""}, True),
        ("a starts with 'ab'", {"a": "abc"}, True),
        ("a ends with 'bc'", {"a": "abc"}, True),
        ("a ends with 'ab'", {"a": "abc"}, False),
        ("!a == 'x' && has(b)", {"b": ""}, True),
        ("has(a) || has(b) && has(c)", {"a": ""}, True),
        ("all()", {}, True),
        ("!all()", {"a": ""}, False),
    ],
)
def test_labels_match_as_calico_has_it_missing_ones_included(text, labels, matches):
    assert parse_selector(text).matches(labels) is matches


def test_the_order_and_number_of_networks_does_not_matter():
    a, b, c = has("a"), has("b"), has("c")
    assert any_of([c, a, b, a]) == any_of([any_of([b, c]), a])
    assert str(any_of([c, a, b])) == "has(a) || has(b) || has(c)"
    assert any_of([a]) == a


def test_joined_selectors_print_with_the_parentheses_they_need():
    either = any_of([has("a"), parse_selector("b == 'x' && has(c)")])
    assert str(either) == 'b == "x" && has(c) || has(a)'
    both = all_of([either, has("d")])
    assert str(both) == '(b == "x" && has(c) || has(a)) && has(d)'
    assert parse_selector(str(both)).matches({"a": "", "d": ""})
    assert str(negate(both)) == f"!({both})"
    assert negate(negate(both)) == both


def test_nothing_joined_is_nothing_or_everything():
    assert all_of([]) == ALL
    assert not any_of([]).matches({"a": ""})


def test_a_label_that_calico_would_not_read_back_is_no_key():
    for key in ("", "a b", "a\n", "é", "a" * 513):
        with pytest.raises(ValueError, match="label name"):
            has(key)


def test_every_test_of_a_label_is_an_atom_once():
    found = parse_selector("a in {'y', 'x'} && !has(b) || a starts with 'z' || c not in {} && all() || has(b)")
    assert [str(a) for a in found.atoms] == ['a in {"x", "y"}', 'a starts with "z"', "c not in {}", "has(b)"]


def test_a_selector_is_a_frozen_value():
    with pytest.raises(AttributeError):
        has("a").key = "b"
    assert {has("a"): 1}[Selector(Op.HAS, "a")] == 1


def test_reading_a_selector_loads_no_heavy_module():
    code = "import calico_rkt.compiler.ir.selector, sys; print({'yaml', 'jinja2', 'json'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
