"""Calico's blocks as stock calico-ipam wrote them: read, changed as it changes them, and byte for byte as it writes."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.plugin.store.etcd3.blocks import Block, BrokenBlockError, Holder, handle_blocks, with_block

NOW = datetime(2026, 11, 24, 0, 12, 28, 941637, tzinfo=UTC)
NET = ip_network("10.1.166.128/29")
A, B, C = (ip_address("10.1.166.128") + n for n in range(3))


def stamp(n):
    return {"node": "node1", "timestamp": f"2026-11-24 00:12:28.94163739{n} +0000 UTC"}


def stock():
    """After ADD c1, ADD c2, ADD c3 with IP=10.1.166.132, in a block of eight addresses."""
    return {
        "cidr": "10.1.166.128/29",
        "affinity": "host:node1",
        "affinity_claim_time": "2026-11-24T00:12:28Z",
        "allocations": [0, 1, None, None, 2, None, None, None],
        "unallocated": [2, 3, 5, 6, 7],
        "attributes": [{"handle_id": f"net1.c{n}", "secondary": stamp(n)} for n in (1, 2, 3)],
        "sequenceNumber": 1795479148959802885,
        "sequenceNumberForAllocation": {
            "0": 1795479148959802882,
            "1": 1795479148959802883,
            "4": 1795479148959802884,
        },
        "deleted": False,
    }


def parsed(**changes):
    return Block.parse(json.dumps({**stock(), **changes}).encode())


def stored(block):
    return json.loads(block.data())


def test_an_untouched_block_is_stored_as_it_was():
    text = json.dumps(stock(), separators=(",", ":")).encode()
    assert Block.parse(text).data() == text


def test_an_address_is_taken_from_the_head_and_given_back_to_the_tail():
    block = parsed()
    assert next(block.free()) == C
    block.take(C, Holder("net1.c4", "node1"), NOW)
    found = stored(block)
    assert found["allocations"] == [0, 1, 3, None, 2, None, None, None]
    assert found["unallocated"] == [3, 5, 6, 7]
    assert found["attributes"][3] == {
        "handle_id": "net1.c4",
        "secondary": {"node": "node1", "timestamp": "2026-11-24 00:12:28.941637 +0000 UTC"},
    }
    assert found["sequenceNumber"] == stock()["sequenceNumber"] + 1
    assert found["sequenceNumberForAllocation"]["2"] == stock()["sequenceNumber"]


def test_what_is_given_back_takes_its_attribute_along_and_the_others_move_up():
    block = parsed()
    assert block.give_back(B, "net1.c2", NOW)
    found = stored(block)
    assert found["allocations"] == [0, None, None, None, 1, None, None, None]
    assert found["unallocated"] == [2, 3, 5, 6, 7, 1]
    assert [a["handle_id"] for a in found["attributes"]] == ["net1.c1", "net1.c3"]
    assert list(found["sequenceNumberForAllocation"]) == ["0", "4"]


def test_an_emptied_block_stays_its_owner_s():
    block = parsed()
    for address, handle in ((A, "net1.c1"), (B, "net1.c2"), (A + 4, "net1.c3")):
        block.give_back(address, handle, NOW)
    found = stored(block)
    assert (found["attributes"], found["sequenceNumberForAllocation"]) == ([], {})
    assert (found["affinity"], block.empty) == ("host:node1", True)


@pytest.mark.parametrize(("address", "handle"), [(A, "net1.c2"), (C, "net1.c1"), (A, "")])
def test_an_address_is_given_back_by_its_own_handle_only(address, handle):
    block = parsed()
    assert not block.give_back(address, handle, NOW)
    assert stored(block) == stock()


def test_a_fraction_of_a_second_has_no_zeros_at_its_end():
    for micro, text in ((0, ""), (500000, ".5"), (10, ".00001")):
        block = parsed()
        block.take(C, Holder("h", "n"), NOW.replace(microsecond=micro))
        assert stored(block)["attributes"][3]["secondary"]["timestamp"] == f"2026-11-24 00:12:28{text} +0000 UTC"


def test_a_new_block_is_counted_in_nanoseconds_and_its_first_address_raises_the_count():
    block = Block.new(NET, "node1", NOW)
    first = stored(block)["sequenceNumber"]
    assert len(str(first)) == 19
    block.take(A, Holder("h", "node1"), NOW)
    found = stored(block)
    assert (found["sequenceNumber"], found["sequenceNumberForAllocation"]) == (first + 1, {"0": first})
    assert list(found) == list(stock())


def test_a_block_that_calico_has_claimed_and_taken_nothing_from_is_of_use():
    """Go says null of a list that nothing was ever put into."""
    fresh = {"allocations": [None] * 8, "unallocated": list(range(8)), "sequenceNumberForAllocation": {}}
    block = parsed(**fresh, attributes=None)
    assert block.empty
    block.thaw(NOW, 60)
    block.take(A, Holder("net1.c1", "node1"), NOW)
    assert [a["handle_id"] for a in stored(block)["attributes"]] == ["net1.c1"]


def test_cooldown_keeps_an_address_until_it_is_over():
    block = parsed()
    block.give_back(A, "net1.c1", NOW, 5)
    found = stored(block)
    assert found["unallocated"] == stock()["unallocated"]
    assert {"releasedAt": "2026-11-24T00:12:28Z"} in found["attributes"]
    again = Block.parse(json.dumps(found).encode())
    again.thaw(NOW + timedelta(seconds=3), 5)
    assert A not in again.free()
    again.thaw(NOW + timedelta(seconds=9), 5)
    assert list(again.free())[-1] == A
    assert {"releasedAt": "2026-11-24T00:12:28Z"} not in stored(again)["attributes"]


@pytest.mark.parametrize("cooldown", [86_400 * 10**9, 10**30])
def test_a_cooldown_longer_than_any_clock_keeps_the_address(cooldown):
    block = parsed()
    block.give_back(A, "net1.c1", NOW, cooldown)
    again = Block.parse(json.dumps(stored(block)).encode())
    again.thaw(NOW + timedelta(days=1), cooldown)
    assert A not in again.free()


def test_without_cooldown_no_address_waits():
    """The setting may have gone since an address was given back."""
    block = parsed()
    block.give_back(A, "net1.c1", NOW, 3600)
    again = Block.parse(json.dumps(stored(block)).encode())
    again.thaw(NOW, 0)
    assert list(again.free())[-1] == A


@pytest.mark.parametrize(("said", "is_free"), [("soon", False), (7, False), ("2026-11-24T00:12:28", True)])
def test_an_address_in_cooldown_is_read_whatever_others_say_of_when(said, is_free):
    raw = stock()
    raw["attributes"][0] = {"releasedAt": said}
    block = Block.parse(json.dumps({**raw, "affinity_claim_time": said}).encode())
    block.thaw(NOW + timedelta(seconds=9), 5)
    assert (A in block.free()) is is_free
    assert not block.reclaimable(NOW)


def test_only_a_block_that_has_been_empty_for_a_while_may_be_taken_over():
    block = Block.new(NET, "node2", NOW)
    assert not block.reclaimable(NOW + timedelta(seconds=30))
    assert block.reclaimable(NOW + timedelta(seconds=60))
    block.take(A, Holder("h", "node2"), NOW)
    assert not block.reclaimable(NOW + timedelta(days=1))
    raw = stored(Block.new(NET, "node2", NOW))
    del raw["affinity_claim_time"]
    assert Block.parse(json.dumps(raw).encode()).reclaimable(NOW)


@pytest.mark.parametrize(
    "missing", ["affinity_claim_time", "sequenceNumber", "sequenceNumberForAllocation", "deleted", "affinity"]
)
def test_what_others_left_out_is_no_reason_to_refuse(missing):
    raw = stock()
    del raw[missing]
    block = Block.parse(json.dumps(raw).encode())
    block.take(C, Holder("h", "n"), NOW)
    assert stored(block)["allocations"][2] == 3


def test_what_is_not_known_here_stays():
    raw = stock()
    raw["newField"] = {"x": [1]}
    raw["attributes"][0]["alternateOwnerAttrs"] = {"a": "b"}
    block = Block.parse(json.dumps(raw).encode())
    block.give_back(B, "net1.c2", NOW)
    found = stored(block)
    assert found["newField"] == {"x": [1]}
    assert found["attributes"][0]["alternateOwnerAttrs"] == {"a": "b"}


@pytest.mark.parametrize(
    "change",
    [
        {"unallocated": [0, 2, 3, 5, 6, 7]},
        {"unallocated": [2, 2, 3, 5, 6, 7]},
        {"unallocated": [2, 3, 5, 6]},
        {"unallocated": [2, 3, 5, 6, 9]},
        {"allocations": [0, 1, None, None, 7, None, None, None]},
        {"allocations": [0, 1]},
        {"allocations": None},
        {"cidr": "10.1.166.129/29"},
        {"cidr": None},
        {"attributes": None},
    ],
)
def test_a_block_that_contradicts_itself_is_refused(change):
    with pytest.raises(BrokenBlockError):
        parsed(**change)


@pytest.mark.parametrize("data", [b"", b"x[", b"[]", b"\xff"])
def test_a_block_that_is_no_json_object_is_refused_as_one(data):
    with pytest.raises(BrokenBlockError):
        Block.parse(data)


ODD = [None, True, 0, 7, -1, 10**30, 1.5, "", "x", "10.1.0.0/26", [], ["x"], {}, {"a": [1]}]


def places(value, at=()):
    """Where anything stands in a JSON value."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


def with_odd(value, at, odd):
    if not at:
        return odd
    made = value.copy()
    made[at[0]] = with_odd(value[at[0]], at[1:], odd)
    return made


def use(block):
    """All that is done with blocks."""
    assert isinstance(block.owner, str)
    block.reclaimable(NOW)
    block.thaw(NOW + timedelta(days=1), 60)
    block.claim("node1", NOW)
    taken = list(block.taken())
    for address in list(block.free())[:1]:
        block.take(address, Holder("net1.c9", "node1"), NOW)
        assert block.give_back(address, "net1.c9", NOW, 60)
    for address, holder in taken:
        assert block.give_back(address, holder.handle, NOW)
    Block.parse(block.data())


@pytest.mark.parametrize("at", list(places(stock()))[1:], ids=lambda at: ".".join(map(str, at)))
def test_whatever_stands_in_a_block_it_is_of_use_or_refused_as_one(at):
    for odd in ODD:
        try:
            block = Block.parse(json.dumps(with_odd(stock(), at, odd)).encode())
        except BrokenBlockError:
            continue
        use(block)


def test_whatever_stands_in_a_handle_it_is_of_use_or_refused_as_one():
    one = {"block": {"10.1.166.128/29": 2}, "deleted": False, "id": "x"}
    whole = [with_odd(one, at, odd) for at in places(one) for odd in ODD]
    for raw in [*whole, *({"block": {key: 1}} for key in ("", "x", "10.1.0.0/33", "10.1.0.1/24"))]:
        for read in (handle_blocks, lambda d: with_block(d, NET, 1)):
            try:
                read(json.dumps(raw).encode())
            except BrokenBlockError:
                continue


def test_a_handle_counts_and_goes_with_its_last_address():
    one = with_block(None, NET, 1)
    assert one == b'{"block":{"10.1.166.128/29":1},"deleted":false}'
    two = with_block(one, ip_network("fd00::/122"), 1)
    assert handle_blocks(two) == (NET, ip_network("fd00::/122"))
    assert with_block(with_block(two, NET, 1), NET, -1) == with_block(two, NET, 0)
    assert with_block(with_block(two, NET, -1), ip_network("fd00::/122"), -1) is None
    assert with_block(one, NET, -5) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"block": 7}', b'{"block": {"10.1.0.0/26": "x"}}', b"[" * 99_999])
def test_a_handle_that_counts_nothing_is_told_from_one_that_is_empty(data):
    for read in (handle_blocks, lambda d: with_block(d or b" ", NET, 1)):
        with pytest.raises(BrokenBlockError):
            read(data)
