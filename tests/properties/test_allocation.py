"""The allocator against a plain set of addresses: whatever is taken and given back, in any order."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.store import addresses
from calico_rkt.plugin.store.log.tables import Tables
from calico_rkt.plugin.store.log.texts import decode_address, encode_address, text_of
from calico_rkt.plugin.store.log.used import Used

FAMILY = {4: IPv4Address, 6: IPv6Address}
SUBNETS = {4: ip_network("10.1.0.0/27"), 6: ip_network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffe0/123")}


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


@given(steps, st.booleans())
def test_what_is_handed_out_is_free_allowed_and_never_withheld(script, asked_before):
    tables, held = Tables(), []
    if asked_before:
        assert tables.held.used.intervals() == []
    for what, value in script:
        if what == "free":
            if held:
                gone = held.pop(value % len(held))
                tables.drop("e", text_of(str(gone)))
        else:
            allowed = [
                {a for r in s for a in map(type(r.first), range(int(r.first), int(r.last) + 1))}
                - {a for n in value.exclude for a in n}
                for s in value.ranges
            ]
            if len(set.union(*allowed)) < sum(map(len, allowed)):
                continue  # the conf's reader refuses range sets that overlap
            try:
                got = addresses.choose(tables, "web", value, ())
            except CniError:
                assert min(len(s - set(held)) for s in allowed) == 0
                continue
            assert len(set(got)) == len(got) == len(allowed)
            for address, of in zip(got, allowed, strict=True):
                assert address in of
                assert address not in held
                tables.put("e", text_of(str(address)), f"{text_of([encode_address(address)])}\tnull")
                held.append(address)
        spans = [(FAMILY[v](a), FAMILY[v](b)) for v, a, b in tables.held.used.intervals()]
        assert sorted(map(str, held)) == sorted(str(type(a)(n)) for a, b in spans for n in range(int(a), int(b) + 1))
        for (_, last), (first, _) in pairwise(spans):
            assert last.version != first.version or int(first) > int(last) + 1
        whole = SUBNETS[4]
        assert tables.held.used.count(whole[0], whole[-1]) == len([a for a in held if a.version == 4])


@given(st.lists(st.tuples(st.sampled_from([4, 6]), st.integers(0, 40)), unique=True))
def test_what_is_in_use_is_the_same_taken_at_once_and_one_by_one(taken):
    one_by_one = Used()
    for version, number in taken:
        one_by_one.take(version, number)
        one_by_one.take(version, number)
    assert Used(taken).intervals() == one_by_one.intervals()


@given(
    st.lists(
        st.lists(st.sampled_from([ip_address(f"10.1.0.{n}") for n in range(6)] + [ip_address("fd00::1")]), max_size=2)
    ),
    st.sampled_from([ip_address(f"10.1.0.{n}") for n in range(6)] + [ip_address("fd00::1")]),
)
def test_the_first_question_is_answered_as_all_others(held, asked):
    tables = []
    for _ in range(4):
        made = Tables()
        for n, addresses_of in enumerate(held):
            value = text_of([encode_address(a) for a in addresses_of])
            made.put("e", text_of(["web", f'"{encode_address(asked)}"', str(n)]), f"{value}\t{text_of(['4:0a010001'])}")
        tables.append(made)
    first, second, third, fourth = tables
    assert fourth.held
    assert first.until(asked) == fourth.until(asked) == fourth.held.until(asked, encode_address(asked))
    assert second.holder(asked) == fourth.holder(asked) == fourth.held.holders.get(encode_address(asked))
    assert [third.until(asked) for _ in range(2)] == [fourth.until(asked)] * 2


@given(st.ip_addresses(), st.ip_addresses())
def test_encoded_addresses_sort_as_addresses_do(one, two):
    assert decode_address(encode_address(one)) == one
    assert (encode_address(one) < encode_address(two)) == ((one.version, int(one)) < (two.version, int(two)))


def test_the_next_address_is_the_one_after_the_last_handed_out():
    tables = Tables()
    of = Ipam("host-local", ((part(4, 1, 4),),))
    order = []
    for _ in range(9):
        (got,) = addresses.choose(tables, "web", of, ())
        order.append(int(got) - int(ip_address("10.1.0.0")))
    assert order == [1, 2, 3, 4, 1, 2, 3, 4, 1]
