"""A host that is open is closed at once, and a table that is whole is never taken away by that."""

from __future__ import annotations

import os
import subprocess
import threading
from ipaddress import ip_address

import pytest

from calico_rkt.plugin.enforce.nft import closing, layout, libnftables, table
from calico_rkt.plugin.enforce.nft.base import base_script
from calico_rkt.plugin.enforce.nft.elements import EndpointElements
from calico_rkt.plugin.enforce.nft.standing import Standing, look_at_table, standing
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel
_LINK = """
ip link add crk000000000001 type veth peer name p0
ip link set crk000000000001 alias 'calico-rkt 0123456789abcdef eth0 web c1'
"""


@pytest.fixture(autouse=True)
def _on_the_host(lab):
    with w.inside(lab.host):
        yield


def endpoint(n, network_id="a"):
    return EndpointElements(f"crk{n:012x}", (ip_address("10.66.0.0") + n, ip_address("fd66::") + n), network_id)


def whole():
    table.build_table([endpoint(1)], {"a": w.network("a")}, ())


def sh(script):
    subprocess.run(["sh", "-ec", script], check=True)


def test_a_host_without_links_of_ours_has_nothing_to_close(lab):
    assert closing.close_first() is Standing.NONE
    lab.run(lab.host, ["sh", "-ec", _LINK], check=True)
    assert closing.close_first() is Standing.NONE, "it is down: an ADD makes the table before it is up"
    sh("ip link add theirs0 type veth peer name p2; ip link set theirs0 alias 'calico of ours'; ip link set theirs0 up")
    assert closing.close_first() is Standing.NONE, "that one is not ours"


def test_a_host_end_whose_alias_was_taken_away_is_one_to_close_for():
    sh(_LINK + "ip link set crk000000000001 alias ''; ip link set crk000000000001 up")
    assert closing.close_first() is Standing.CLOSED


@pytest.mark.parametrize("name", ["crk000000000001", "renamed0"])
def test_a_host_with_a_link_of_ours_up_and_no_table_is_closed(name):
    sh(_LINK + f"ip link set crk000000000001 name {name}\nip link set {name} up")
    assert closing.close_first() is Standing.CLOSED
    assert closing.close_first() is Standing.CLOSED


@pytest.mark.parametrize(
    "edit",
    [
        "flush table inet calico_rkt",
        "flush chain inet calico_rkt forward",
        "insert rule inet calico_rkt forward accept",
        "add rule inet calico_rkt input accept",
        "insert rule inet calico_rkt prerouting accept",
        "add table inet calico_rkt { flags dormant; }",
        "add chain inet calico_rkt forward { policy drop; }",
        "flush chain inet calico_rkt egress",
        'flush table inet calico_rkt; add rule inet calico_rkt layout return comment "closed: calico-rkt restore"',
    ],
)
def test_a_table_that_is_not_whole_is_closed_and_one_restore_later_is_as_new(edit):
    whole()
    fresh = libnftables._call("list table inet calico_rkt")
    libnftables.run_nft(edit)
    assert standing() is Standing.BROKEN
    assert closing.close_first() is Standing.CLOSED
    whole()
    assert standing() is Standing.WHOLE
    assert libnftables._call("list table inet calico_rkt") == fresh


def test_a_base_chain_with_another_priority_is_not_whole():
    whole()
    libnftables.run_nft(
        "flush chain inet calico_rkt forward; delete chain inet calico_rkt forward\n"
        + "\n".join(
            line.replace("priority filter", "priority 7")
            for line in base_script().splitlines()
            if line.startswith(("add chain inet calico_rkt forward", "add rule inet calico_rkt forward"))
        )
    )
    assert standing() is Standing.BROKEN


def test_a_closed_table_that_is_flushed_is_closed_again():
    whole()
    libnftables.run_nft("flush table inet calico_rkt")
    closing.close_first()
    libnftables.run_nft("flush chain inet calico_rkt forward")
    assert standing() is Standing.BROKEN
    assert closing.close_first() is Standing.CLOSED


def test_the_same_name_in_another_family_is_another_table():
    libnftables.run_nft("add table ip calico_rkt")
    assert closing.close_first() is Standing.NONE
    whole()
    assert standing() is Standing.WHOLE


def test_the_kernel_refuses_a_closing_that_looked_at_another_ruleset():
    whole()
    libnftables.run_nft("flush table inet calico_rkt")
    generation, found = look_at_table()
    assert found is Standing.BROKEN
    whole()
    assert not closing._close(generation, there=True)
    assert standing() is Standing.WHOLE
    assert held.missing(endpoint(1)) == []


@pytest.mark.parametrize("rounds", [30, pytest.param(150, marks=pytest.mark.slow)])
def test_closing_beside_flushes_and_restores_never_takes_a_whole_table_away(rounds):
    child = os.fork()
    if not child:
        while os.getppid() != 1:
            closing.close_first()
        os._exit(0)
    try:
        for _ in range(rounds):
            libnftables.run_nft("delete table inet calico_rkt" if standing() is not Standing.NONE else "flush ruleset")
            whole()
            for _ in range(5):
                assert standing() is Standing.WHOLE
                assert held.missing(endpoint(1)) == []
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_an_older_layout_is_whole_by_its_own_measure_and_never_closed():
    whole()
    libnftables.run_nft(f"flush chain inet calico_rkt {layout.CHAIN}; delete chain inet calico_rkt {layout.CHAIN}")
    assert standing() is Standing.OLDER
    assert closing.close_first() is Standing.OLDER
    with pytest.raises(table.BaseMissingError):
        table.add_endpoint(endpoint(2))
    whole()
    assert standing() is Standing.WHOLE


def test_a_newer_layout_is_left_alone_and_the_call_says_so():
    whole()
    libnftables.run_nft("add chain inet calico_rkt newest; add rule inet calico_rkt newest return")
    newer = [f"layout {layout.VERSION + 1} 0123456789ab", "newest 1", "forward 5 filter 2 0"]
    chain = f"inet calico_rkt {layout.CHAIN}"
    libnftables.run_nft(
        f"flush chain {chain}\n" + "".join(f'add rule {chain} return comment "{line}"\n' for line in newer)
    )
    before = libnftables._call("list table inet calico_rkt")
    assert closing.close_first() is Standing.NEWER
    with pytest.raises(table.NewerTableError, match="newer layout"):
        whole()
    with pytest.raises(table.NewerTableError):
        table.add_endpoint(endpoint(2))
    table.remove_endpoint(endpoint(2))
    assert libnftables._call("list table inet calico_rkt") == before
    libnftables.run_nft("flush chain inet calico_rkt newest")
    assert closing.close_first() is Standing.CLOSED, "not whole by its own measure: open, whoever made it"


def test_an_endpoint_that_is_added_again_counts_no_generation_that_there_is_not(lab):
    whole()
    for n in range(1, 4):
        table.add_endpoint(endpoint(2))
        for _ in range(n):
            table.add_endpoint(endpoint(2))
        for _ in range(n):  # n changes of somebody else: one a generation that was counted for nothing
            lab.run(lab.host, ["nft", "add", "table", "ip", "theirs"], check=True)
            lab.run(lab.host, ["nft", "delete", "table", "ip", "theirs"], check=True)
            lab.run(lab.host, ["nft", "flush", "chain", "inet", "calico_rkt", "forward"], check=True)
            with pytest.raises(table.BaseMissingError):
                table.add_endpoint(endpoint(3))
        whole()


def test_two_first_adds_at_once_and_a_flush_leave_no_endpoint_in_a_base_that_is_not_there(lab):
    whole()
    threads = [threading.Thread(target=_attach_in, args=(lab.host, 2)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(6):
        lab.run(lab.host, ["nft", "flush", "chain", "inet", "calico_rkt", "forward"], check=True)
        with pytest.raises(table.BaseMissingError):
            table.add_endpoint(endpoint(3))


def _attach_in(host, n):
    with w.inside(host):
        for _ in range(5):
            table.add_endpoint(endpoint(n))
