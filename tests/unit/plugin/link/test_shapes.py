"""Claims about bytes that are encoded once: what differs is put in as it is, or there is no shape."""

from __future__ import annotations

import pytest

from calico_rkt.plugin.link.shapes import Shape


def test_what_is_filled_in_stands_where_the_encoding_puts_it():
    shape = Shape(lambda values: b"%" + values[1] + b"-" + values[0] + values[1], [2, 1])
    assert shape.filled([b"ab", b"%"]) == b"%%-ab%"
    assert Shape(lambda values: b"<" + values[0], [1]).filled([b"x"]) == b"<x"


def test_an_encoding_that_depends_on_more_than_bytes_is_no_shape():
    with pytest.raises(ValueError, match="depends on more"):
        Shape(lambda values: values[0] + bytes([sum(values[0]) & 16]), [4])
    with pytest.raises(ValueError, match="not put in as it is"):
        Shape(lambda values: values[0][:1] + b"-" + values[0][1:], [2])
