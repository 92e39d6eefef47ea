"""A JSON document in; documents with a value exchanged, taken out, doubled or renamed, out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

ODD = [
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**64, 10**300, 1.5, float("inf"), float("nan"), "", " ", "x", "\0", "\n"),
    *("\ud800", "\u202e", "a" * 300, "10.1.0.0/16", "10.1.0.300", "::1", "fd00::/64", "-1", "1e9", "../..", "{{7*7}}"),
    *([], {}, [[]], [None], {"": {}}, {"a": None}, [1, "x", {}], "eyJhIjoxfQ==", "=", "AA=A"),
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*path, key)
        yield from _places(item, (*path, key))


Choose = Callable[[Sequence[Any]], Any]
"""One of several: Hypothesis' choice, or a Random's, where what is to be damaged is known late."""


def damaged_once(choose: Choose, document: Any) -> Any:
    """The same with one place changed, in place where that is possible."""
    places = [*_places(document)]
    if not places:
        return copy.deepcopy(choose(ODD))
    path = choose(places)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    key, how = path[-1], choose(["put", "put", "put", "drop", "double", "wrap"])
    if how == "put":
        holder[key] = copy.deepcopy(choose(ODD))
    elif how == "drop":
        del holder[key]
    elif how == "wrap":
        holder[key] = choose([[holder[key]], {"a": holder[key]}, str(holder[key])])
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[choose([str(key).upper(), f"{key}s", ""])] = copy.deepcopy(holder[key])
    return document


@st.composite
def changed(draw: st.DrawFn, originals: Sequence[Any], most: int = 3) -> Any:
    """One of them with one to three places changed."""
    document = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, most))):
        document = damaged_once(lambda of: draw(st.sampled_from(of)), document)
    return document


@st.composite
def torn(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> bytes:
    """A text with some bytes exchanged, cut off, or doubled."""
    text = draw(texts)
    at, to = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return draw(
        st.sampled_from([text[:at], text[to:], text[:at] + draw(st.binary(max_size=4)) + text[to:], text + text[at:]])
    )


def encoded(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """As JSON, one of five of them torn."""
    whole = documents.map(lambda d: json.dumps(d).encode())
    return st.one_of(whole, whole, whole, whole, torn(whole))
