"""A view is one caller's; a block that was written since is believed as it is now, and only where the old one was."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from calico_rkt.plugin.store.etcd3.kept_views import KeptViews
from calico_rkt.plugin.store.etcd3.ops import Kv
from calico_rkt.plugin.store.etcd3.view import IpamConfig, View

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
    assert views.take("node1", "net2") is None
    assert views.take("node1", "net1") == replace(VIEW, endpoint=None, handle=None, blocks={NET: BEFORE})
    assert views.take("node1", "net1") is None


def test_a_block_that_was_written_is_known_as_it_is():
    views = kept()
    views.wrote(NET, 7, NOW)
    found = views.take("node1", "net1")
    assert found is not None
    assert found.blocks == {NET: NOW}


def test_a_block_that_others_wrote_before_is_left_to_the_comparison():
    views = kept()
    views.wrote(NET, 8, NOW)
    found = views.take("node1", "net1")
    assert found is not None
    assert found.blocks == {NET: BEFORE}


def test_a_view_goes_with_its_block():
    views = kept()
    views.wrote(NET, 7, None)
    assert views.take("node1", "net1") is None


def test_a_view_without_a_block_is_not_kept():
    views = KeptViews()
    views.keep("node1", "net1", VIEW, {})
    assert views.take("node1", "net1") is None


def test_a_view_of_too_much_to_compare_is_not_kept():
    assert kept(replace(VIEW, revisions={str(n): n for n in range(100)})).take("node1", "net1") is None


def test_what_is_believed_is_compared_key_by_key_and_below_the_prefixes():
    compares = replace(VIEW, blocks={NET: BEFORE}).unmoved("node1")
    assert compares.pop(0) == {"key": "YmxvY2s=", "target": "VALUE", "result": "EQUAL", "value": "MQ=="}
    assert [c.get("mod_revision") for c in compares] == ["3", "8", "8", "8", "8"]
    assert [c["result"] for c in compares] == ["EQUAL", "LESS", "LESS", "LESS", "LESS"]
    assert all("range_end" in c for c in compares[1:])
