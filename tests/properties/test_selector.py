"""Random selectors: what is printed is read back, and evaluation agrees with a naive evaluator of the text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.ir.selector import ALL, Op, Selector, all_of, any_of, has, negate
from calico_rkt.compiler.ir.selector_parser import LONGEST_SELECTOR, SelectorError, parse_selector

KEYS = st.sampled_from(["a", "b", "has", "in", "x/y.z-1_2"])
VALUES = st.one_of(st.sampled_from(["", "a", "ab", "b", "it's", '"', "a && b", ") in {"]), st.text("ab", max_size=3))
ATOMS = st.one_of(
    st.builds(has, KEYS),
    st.builds(
        lambda op, key, value: Selector(op, key, (value,)),
        st.sampled_from([Op.EQUAL, Op.NOT_EQUAL, Op.CONTAINS, Op.STARTS, Op.ENDS]),
        KEYS,
        VALUES,
    ),
    st.builds(
        lambda op, key, values: Selector(op, key, tuple(sorted(values))),
        st.sampled_from([Op.IN, Op.NOT_IN]),
        KEYS,
        st.sets(VALUES, max_size=3),
    ),
    st.just(ALL),
)
SELECTORS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(negate, inner),
        st.builds(any_of, st.lists(inner, max_size=3)),
        st.builds(all_of, st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)
LABELS = st.dictionaries(KEYS, VALUES, max_size=4)


def naive(text: str, labels: dict[str, str]) -> bool:
    """Each test of the canonical text replaced by its value, the rest left to Python's own precedence."""
    quoted = r"""(?:"[^"]*"|'[^']*')"""
    key = r"[a-zA-Z0-9_./-]+"

    def value(m: re.Match[str]) -> str:
        if m["all"]:
            return " True "
        if m["has"]:
            return f" {m['has'] in labels} "
        found, values = labels.get(m["key"]), [v[1:-1] for v in re.findall(quoted, m["rest"])]
        truth = {
            "==": lambda: found == values[0],
            "!=": lambda: found != values[0],
            "contains": lambda: found is not None and found.find(values[0]) >= 0,
            "starts with": lambda: found is not None and found[: len(values[0])] == values[0],
            "ends with": lambda: (
                found is not None and found[len(found) - len(values[0]) :] == values[0]
                if len(values) and found is not None and len(found) >= len(values[0])
                else False
            ),
            "in": lambda: found in values,
            "not in": lambda: found not in values,
        }[m["op"]]()
        return f" {bool(truth)} "

    atom = (
        rf"(?P<all>all\(\))|has\((?P<has>{key})\)|"
        rf"(?P<key>{key}) (?P<op>==|!=|contains|starts with|ends with|in|not in) "
        rf"(?P<rest>{quoted}|\{{(?:{quoted}(?:, {quoted})*)?\}})"
    )
    python = re.sub(atom, value, text)
    # Not binds more loosely in Python than `!` does, but every operand of it is a word or a parenthesis here.
    return bool(eval(python.replace("!", " not ").replace("&&", " and ").replace("||", " or ")))


@given(SELECTORS)
def test_what_is_printed_is_read_back_as_the_same_value(selector):
    text = str(selector)
    if len(text) <= LONGEST_SELECTOR:
        assert parse_selector(text) == selector
        assert str(parse_selector(text)) == text


@given(SELECTORS, LABELS)
def test_evaluation_agrees_with_a_naive_reading_of_the_text(selector, labels):
    assert selector.matches(labels) is naive(str(selector), labels)


@given(SELECTORS, LABELS)
def test_the_negation_is_the_opposite(selector, labels):
    assert negate(selector).matches(labels) is not selector.matches(labels)


@given(st.lists(SELECTORS, max_size=4), st.randoms(use_true_random=False), LABELS)
def test_joining_neither_knows_order_nor_changes_the_meaning(selectors, rng, labels):
    shuffled = [*selectors, *selectors[:1]]
    rng.shuffle(shuffled)
    assert any_of(shuffled) == any_of(selectors)
    assert all_of(shuffled) == all_of(selectors)
    assert any_of(selectors).matches(labels) is any(s.matches(labels) for s in selectors)
    assert all_of(selectors).matches(labels) is all(s.matches(labels) for s in selectors)


@given(SELECTORS, LABELS)
def test_the_atoms_alone_decide(selector, labels):
    truth = {atom: atom.matches(labels) for atom in selector.atoms}
    assert selector.holds(lambda atom: truth[atom]) is selector.matches(labels)


@given(st.text("ab=!&|(){},'\" \t\nhasinotlcewrd%", max_size=40))
def test_any_text_is_a_selector_or_a_selector_error(text):
    try:
        found = parse_selector(text)
    except SelectorError as e:
        offset = e.offset
    else:
        assert parse_selector(str(found)) == found
        offset = 0
    assert 0 <= offset <= len(text)
