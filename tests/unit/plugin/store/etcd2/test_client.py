"""Answers that etcd's v2 API never gives: each is an error in words, and nothing of it is taken for a key."""

import json
from io import BytesIO
from ipaddress import ip_network
from unittest.mock import patch

import pytest
import urllib3

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.access import Access
from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.etcd2.pools import pools_for

NODE = {"key": "/calico/v1/Ready", "value": "true", "modifiedIndex": 7, "createdIndex": 5}
ODD = [
    {**NODE, "key": None},
    {**NODE, "key": 7},
    {**NODE, "value": {"a": 1}},
    {**NODE, "modifiedIndex": None},
    {**NODE, "createdIndex": "7"},
    {"key": "/calico", "dir": True, "nodes": 1},
    {"key": "/calico", "dir": True, "nodes": [None]},
]


@pytest.fixture
def client():
    found = Client(Access(("http://127.0.0.1:1",)))
    yield found
    found.close()


def answering(*answers):
    """What is asked gets these in turn, the last one again and again: status and JSON."""
    left = list(answers)

    def ask(*_, **__):
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return urllib3.HTTPResponse(BytesIO(json.dumps(body).encode()), {}, status, preload_content=False)

    return patch.multiple(urllib3.PoolManager, request=ask, request_encode_body=ask)


@pytest.mark.parametrize("node", ODD)
def test_a_key_that_is_none_of_etcd_s_is_an_error_that_names_the_member(client, node):
    with answering((200, {"action": "get", "node": node})), pytest.raises(CniError, match="in another shape") as e:
        client.tree("/calico")
    assert e.value.code == Code.DATASTORE
    assert "http://127.0.0.1:1" in e.value.msg


def test_a_write_that_is_answered_with_a_read_s_refusal_is_an_error_in_words(client):
    gone = {"errorCode": 100, "message": "Key not found", "cause": "/x", "index": 9}
    with answering((404, gone)), pytest.raises(CniError, match="refuses a request"):
        client.create("/x", "1")


def test_a_pool_s_key_that_holds_no_pool_is_named(client):
    net = ip_network("10.1.0.0/28")
    broken = {"key": "/calico/v1/ipam/v4/pool/10.1.0.0-28", "value": "{}", "modifiedIndex": 7, "createdIndex": 5}
    exists = {"errorCode": 105, "message": "Key already exists", "cause": broken["key"], "index": 9}
    ipam = Ipam("host-local", ((Range(net, net[1], net[-2]),),))
    listed = (200, {"action": "get", "node": {"key": "/p", "dir": True, "nodes": [broken]}})
    with answering(listed, (412, exists), listed), pytest.raises(CniError, match="has no pool") as e:
        pools_for(client, ipam, masquerade=False)
    assert broken["key"] in e.value.details
