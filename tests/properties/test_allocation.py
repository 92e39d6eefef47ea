"""The allocator against a plain set of addresses: whatever is taken and given back, in any order."""

from __future__ import annotations

import sqlite3
from ipaddress import ip_address, ip_network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.store import addresses

SUBNETS = {4: ip_network("10.1.0.0/27"), 6: ip_network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffe0/123")}


def database():
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(addresses.SCHEMA)
    return db


def part(version, first, last):
    subnet = SUBNETS[version]
    return Range(subnet, subnet[first], subnet[last])


ranges = st.sampled_from([4, 6]).flatmap(
    lambda v: st.tuples(st.integers(0, 31), st.integers(0, 31)).map(lambda p: part(v, min(p), max(p)))
)
confs = st.builds(
    lambda sets, exclude: Ipam("host-local", tuple(map(tuple, sets)), (), tuple(exclude)),
    st.lists(st.lists(ranges, min_size=1, max_size=3), min_size=1, max_size=2),
    st.lists(st.sampled_from([n for s in SUBNETS.values() for n in s.subnets(new_prefix=s.prefixlen + 2)]), max_size=2),
)
steps = st.lists(
    st.one_of(st.tuples(st.just("take"), confs), st.tuples(st.just("free"), st.integers(0, 99))), max_size=60
)


@given(steps)
def test_what_is_handed_out_is_free_allowed_and_never_withheld(script):
    db, held = database(), []
    for what, value in script:
        if what == "free":
            if held:
                gone = held.pop(value % len(held))
                addresses.mark_free(db, gone)
        else:
            allowed = [
                {a for r in s for a in map(type(r.first), range(int(r.first), int(r.last) + 1))}
                - {a for n in value.exclude for a in n}
                for s in value.ranges
            ]
            if len(set.union(*allowed)) < sum(map(len, allowed)):
                continue  # the conf's reader refuses range sets that overlap
            try:
                got = addresses.choose(db, "web", value, ())
            except CniError:
                assert min(len(s - set(held)) for s in allowed) == 0
                continue
            assert len(set(got)) == len(got) == len(allowed)
            for address, of in zip(got, allowed, strict=True):
                assert address in of
                assert address not in held
                addresses.mark_used(db, address)
                held.append(address)
        rows = db.execute("SELECT first, last FROM used ORDER BY first").fetchall()
        spans = [(addresses.decode_address(a), addresses.decode_address(b)) for a, b in rows]
        assert sorted(map(str, held)) == sorted(str(type(a)(n)) for a, b in spans for n in range(int(a), int(b) + 1))
        for (_, last), (first, _) in pairwise(spans):
            assert last.version != first.version or int(first) > int(last) + 1
        whole = SUBNETS[4]
        assert addresses.in_use(db, whole[0], whole[-1]) == len([a for a in held if a.version == 4])


@given(st.ip_addresses(), st.ip_addresses())
def test_encoded_addresses_sort_as_addresses_do(one, two):
    assert addresses.decode_address(addresses.encode_address(one)) == one
    assert (addresses.encode_address(one) < addresses.encode_address(two)) == (
        (one.version, int(one)) < (two.version, int(two))
    )


def test_the_next_address_is_the_one_after_the_last_handed_out():
    db = database()
    of = Ipam("host-local", ((part(4, 1, 4),),))
    order = []
    for _ in range(9):
        (got,) = addresses.choose(db, "web", of, ())
        order.append(int(got) - int(ip_address("10.1.0.0")))
    assert order == [1, 2, 3, 4, 1, 2, 3, 4, 1]
