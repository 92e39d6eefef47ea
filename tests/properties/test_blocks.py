"""Any order of taking and giving back keeps a block's books, as calicoctl ipam check demands them."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.plugin.store.etcd3.blocks import Block, Holder

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NETS = st.sampled_from([ip_network("10.1.0.0/29"), ip_network("fd00::/124"), ip_network("10.1.0.64/26")])
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 70), st.sampled_from([0, 5])), max_size=60)


@given(NETS, STEPS)
def test_the_books_are_kept(net, steps):
    block = Block.new(net, "node1", NOW)
    held, cooling, order = {}, set(), list(net)
    for number, (taking, which, cooldown) in enumerate(steps):
        if taking and order:
            address = order.pop(0)
            assert next(block.free()) == address
            block.take(address, Holder(f"h{number}", "node1"), NOW + timedelta(seconds=number))
            held[address] = f"h{number}"
        elif held:
            address = sorted(held)[which % len(held)]
            assert not block.give_back(address, "somebody else's", NOW)
            assert block.give_back(address, held.pop(address), NOW, cooldown)
            if cooldown:
                cooling.add(address)
            else:
                order.append(address)
        before = block.data()
        block = Block.parse(before)  # refuses what contradicts itself
        assert block.data() == before
        assert {a: h.handle for a, h in block.taken() if h.handle} == held
        assert {a for a, h in block.taken() if not h.handle} == cooling
        assert list(block.free()) == order
        raw = json.loads(before)
        assert {i for i in raw["allocations"] if i is not None} == set(range(len(raw["attributes"])))
        assert {int(o) for o in raw["sequenceNumberForAllocation"]} == {int(a) - int(net[0]) for a in held}
    block.thaw(NOW + timedelta(minutes=1), 5)
    assert set(block.free()) == set(net) - set(held)


@given(NETS, STEPS)
def test_each_change_that_is_stored_is_counted(net, steps):
    block = Block.new(net, "node1", NOW)
    count = json.loads(block.data())["sequenceNumber"]
    for taking, _, _ in steps:
        address = next(block.free(), None)
        if not taking or address is None:
            continue
        block.take(address, Holder("h", "node1"), NOW)
        block = Block.parse(block.data())
        count += 1
        assert json.loads(block.data())["sequenceNumber"] == count
