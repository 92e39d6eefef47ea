"""What stands in a resource in the place of what belongs there is not taken for it."""

import json

import pytest

from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.store.etcd3.ops import Kv
from calico_rkt.plugin.store.etcd3.resources import read_pool, texts
from calico_rkt.plugin.store.etcd3.view import IpamConfig


@pytest.mark.parametrize("there", [None, True, 7, "net1", {"net1": ""}])
def test_what_is_no_list_has_no_texts(there):
    assert texts({"profiles": there}, "profiles") == ()


def test_the_texts_of_a_list():
    assert texts({"profiles": ["net1", "other"]}, "profiles") == ("net1", "other")
    assert texts({}, "profiles") == ()


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"maxBlocksPerHost": 1e999}'])
def test_settings_that_say_nothing_are_refused(text):
    with pytest.raises(CniError, match="can't be read"):
        IpamConfig.parse(Kv("config", text, 7))


def test_a_pool_of_endless_blocks_is_none():
    assert read_pool(b'{"spec": {"cidr": "10.1.0.0/16", "blockSize": 1e999}}') is None


@pytest.mark.parametrize(
    ("conditions", "problem"),
    [
        ([{"type": "Allocatable", "status": "False", "reason": "CIDROverlap"}], "(CIDROverlap)"),
        ([{"type": "Other", "status": "False"}, {"type": "Allocatable", "status": "False"}], "(Allocatable: False)"),
        ([{"type": "Allocatable", "status": "True"}], ""),
        ("none", ""),
        (["none"], ""),
    ],
)
def test_a_pool_that_calico_does_not_give_addresses_out_of_has_a_problem(conditions, problem):
    said = {"metadata": {"name": "p"}, "spec": {"cidr": "10.1.0.0/16"}, "status": {"conditions": conditions}}
    pool = read_pool(json.dumps(said).encode())
    assert (pool.problem.endswith(problem), pool.enabled, bool(pool.problem)) == (True, not problem, bool(problem))
