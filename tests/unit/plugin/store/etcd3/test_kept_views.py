"""A view is one caller's; a block that was written since is believed as it is now, and only where the old one was."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from ipaddress import ip_network

import pytest

from calico_rkt.plugin.store.etcd3.kept_views import KeptViews
from calico_rkt.plugin.store.etcd3.ops import Kv
from calico_rkt.plugin.store.etcd3.view import IpamConfig, View

BEGIN = 0.0
NET = ip_network("10.1.0.0/26")
OTHER = Kv("endpoint", b"{}", 4)
BEFORE, NOW = Kv("block", b"1", 7), Kv("block", b"2", 9)
VIEW = View(None, None, None, OTHER, OTHER, IpamConfig(), (), (), (), {}, 7, {"ready": 3})


def kept(view: View = VIEW) -> KeptViews:
    views = KeptViews()
    views.keep("node1", "net1", view, {NET: BEFORE})
    return views


def test_a_view_is_taken_once_and_knows_nothing_of_the_container_before():
    views = kept()
    assert views.take("node1", "net2", BEGIN) is None
    assert views.take("node1", "net1", BEGIN) == replace(VIEW, endpoint=None, handle=None, blocks={NET: BEFORE})
    assert views.take("node1", "net1", BEGIN) is None


def test_a_block_that_was_written_is_known_as_it_is():
    views = kept()
    views.wrote(NET, BEFORE, NOW)
    found = views.take("node1", "net1", BEGIN)
    assert found is not None
    assert found.blocks == {NET: NOW}


@pytest.mark.parametrize("other", [{"revision": 8}, {"value": b"3"}], ids=["later", "of another history"])
def test_a_block_that_was_another_is_left_to_the_comparison(other):
    views = kept()
    views.wrote(NET, replace(BEFORE, **other), NOW)
    found = views.take("node1", "net1", BEGIN)
    assert found is not None
    assert found.blocks == {NET: BEFORE}


def test_a_view_goes_with_its_block():
    views = kept()
    views.wrote(NET, BEFORE, None)
    assert views.take("node1", "net1", BEGIN) is None


def test_a_view_without_a_block_is_not_kept():
    views = KeptViews()
    views.keep("node1", "net1", VIEW, {})
    assert views.take("node1", "net1", BEGIN) is None


def test_a_view_of_too_much_to_compare_is_not_kept():
    assert kept(replace(VIEW, revisions={str(n): n for n in range(100)})).take("node1", "net1", BEGIN) is None


def test_blocks_are_compared_twice_and_sent_twice():
    full = replace(VIEW, revisions={str(n): n for n in range(63)})
    assert kept(full).take("node1", "net1", BEGIN) is None
    views = KeptViews()
    views.keep("node1", "net1", VIEW, {NET: replace(BEFORE, value=b" " * 300_000)})
    assert views.take("node1", "net1", BEGIN) is None


def test_a_view_is_not_believed_over_a_younger_connection():
    views = kept()
    assert views.take("node1", "net1", math.inf) is None
    later = time.monotonic() + 1
    views.wrote(NET, BEFORE, NOW)
    assert views.take("node1", "net1", later) is None, "and a DEL makes it no younger"
    assert views.take("node1", "net1", BEGIN) is not None


def test_what_is_believed_is_compared_key_by_key_and_below_the_prefixes():
    compares = replace(VIEW, blocks={NET: BEFORE}).unmoved("node1")
    assert compares.pop(0) == {"key": "YmxvY2s=", "target": "VALUE", "result": "EQUAL", "value": "MQ=="}
    assert [c.get("mod_revision") for c in compares] == ["3", "8", "8", "8", "8"]
    assert [c["result"] for c in compares] == ["EQUAL", "LESS", "LESS", "LESS", "LESS"]
    assert all("range_end" in c for c in compares[1:])
