"""Claims about batches: messages get numbers of their send, and those that a shape gave are as those of an encoding."""

from __future__ import annotations

import struct

import pytest

from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.numbered import STEP, Batches, Messages, numbered

HEADER = struct.Struct("=IHHII")
FIRSTS = (STEP, 2 * STEP, 0x00FFFF00, 0x01000000, 0x7FFFFF00)


def heads(data):
    found, at = [], 0
    while at < len(data):
        found.append(HEADER.unpack_from(data, at))
        at += (found[-1][0] + 3) & ~3
    return found


def of(count, *, size=4):
    return b"".join(netlink.message(16, netlink.REQUEST | netlink.ACK, bytes(size)) for _ in range(count))


@pytest.mark.parametrize("acknowledged", [0, 1, 2])
def test_one_message_is_acknowledged_at_most_and_all_have_numbers(acknowledged):
    data, count = numbered(Messages(of(3, size=5), 1, acknowledged), STEP)
    assert count == 3
    assert [head[3] for head in heads(data)] == [STEP, STEP + 1, STEP + 2]
    asked = [n for n, head in enumerate(reversed(heads(data)), 1) if head[2] & netlink.ACK]
    assert asked == ([acknowledged] if acknowledged else [])
    assert all(head[2] & netlink.REQUEST for head in heads(data))
    assert numbered(Messages(b""), STEP) == (b"", 0)


@pytest.mark.parametrize("count", [1, STEP, STEP + 1])
def test_numbers_that_a_shape_puts_in_are_those_of_an_encoding(count):
    batches = Batches()

    def encode(values):
        return Messages(of(count - 1) + netlink.message(18, 0, values[0]), 1, 0)

    for number, first in enumerate(FIRSTS):
        value = bytes([number] * 4)
        found = batches.batch("kind", encode, [value]).numbered(first)
        assert found == (bytes(numbered(encode([value]), first)[0]), count, 1)


def test_values_of_other_sizes_are_another_shape():
    batches = Batches()
    for size in (4, 4, 4, 8, 8, 4, 8, 16):
        found = batches.batch("kind", lambda values: Messages(netlink.message(16, 0, values[0])), [bytes(size)])
        assert heads(found.numbered(STEP)[0])[0][0] == 16 + size


def test_a_process_of_one_call_encodes_once_and_shapes_are_forgotten_when_they_are_many():
    calls = []

    def encode(values):
        calls.append(values)
        return Messages(netlink.message(16, 0, values[0]))

    batches = Batches()
    batches.batch("one", encode, [b"aaaa"]).numbered(STEP)
    assert len(calls) == 1
    for number in range(1000):
        data, _, _ = batches.batch(number, encode, [b"bbbb"]).numbered(STEP)
        assert data[16:] == b"bbbb"
    assert len(batches._known) <= 256
