"""What changes the table, and what happens when others do: repeats, losses, restores, races."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Action, Network, Rule, ToHost
from calico_rkt.compiler.targets.nftables.write import write_nftables
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.nft.elements import CHAIN_OF_MAP, EndpointElements, to_host_script
from calico_rkt.plugin.errors import Code
from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture(autouse=True)
def _on_the_host(lab):
    with w.inside(lab.host):
        yield


def endpoint(n, network_id="a", **more):
    return EndpointElements(f"crk{n:012x}", (ip_address("10.66.0.0") + n, ip_address("fd66::") + n), network_id, **more)


def elements():
    """What the table has of endpoints."""
    return frozenset((name, e) for name, e in table._present() if name not in CHAIN_OF_MAP)


def test_an_add_without_the_table_says_that_the_base_is_missing():
    with pytest.raises(table.BaseMissingError) as caught:
        table.add_endpoint(endpoint(1))
    assert caught.value.code == Code.POLICY
    assert not table.base_present()


def test_an_add_without_the_networks_chains_says_that_the_network_is_missing():
    held.ensure_base(())
    with pytest.raises(table.NetworkMissingError):
        table.add_endpoint(endpoint(1))
    assert elements() == frozenset()


def test_an_add_may_be_repeated_and_a_del_too():
    held.ensure_base(())
    held.load_network(w.network("a"))
    for _ in range(2):
        table.add_endpoint(endpoint(1, ip_masq=True))
    assert held.missing(endpoint(1, ip_masq=True)) == []
    for _ in range(2):
        table.remove_endpoint(endpoint(1, ip_masq=True))
    assert elements() == frozenset()


def test_a_del_takes_the_rest_when_a_part_is_gone_already():
    held.ensure_base(())
    held.load_network(w.network("a"))
    table.add_endpoint(endpoint(1))
    table.add_endpoint(endpoint(2))
    libnftables.run_nft(f'delete element inet calico_rkt endpoints {{ "crk000000000001" . {endpoint(1).group} }}')
    assert any("endpoints" in line for line in held.missing(endpoint(1)))
    table.remove_endpoint(endpoint(1))
    assert elements() == {*((s, e) for s, e in elements() if "2" in e)}
    assert held.missing(endpoint(2)) == []


def test_a_del_without_a_table_is_done():
    table.remove_endpoint(endpoint(1))


def test_a_group_never_leads_to_two_networks():
    held.ensure_base(())
    table.apply_scripts((w.network("a"), w.network("b")))
    before = table._present()
    with pytest.raises(libnftables.NftError) as caught:
        libnftables.run_nft(f"add element inet calico_rkt from_network {{ {group_of('a')} : goto out-b }}")
    assert caught.value.busy
    assert table._present() == before


def test_an_add_to_a_network_that_its_group_does_not_lead_to_says_so_and_its_script_mends_it():
    held.ensure_base(())
    table.apply_scripts((w.network("a"), w.network("b")))
    for name in CHAIN_OF_MAP:
        libnftables.run_nft(f"delete element inet calico_rkt {name} {{ {group_of('a')} }}")
        with pytest.raises(table.NetworkMissingError):
            table.add_endpoint(endpoint(1))
        table.add_endpoint(endpoint(2, "b"))
        table.apply_scripts((w.network("a"),))
        table.add_endpoint(endpoint(1))


def test_an_add_into_a_table_whose_rules_were_flushed_fails_and_restore_mends_it():
    held.ensure_base(())
    held.load_network(w.network("a"))
    table.add_endpoint(endpoint(1))
    libnftables.run_nft("flush table inet calico_rkt")
    with pytest.raises(table.BaseMissingError):
        table.add_endpoint(endpoint(2))
    table.build_table([endpoint(1)], {"a": w.network("a")}, ())
    table.add_endpoint(endpoint(2))
    libnftables.run_nft("flush chain inet calico_rkt in-a")
    with pytest.raises(table.NetworkMissingError):
        table.add_endpoint(endpoint(3))


def test_a_change_that_fails_leaves_nothing_behind():
    held.ensure_base(())
    held.load_network(w.network("a"))
    before = table.live_networks()
    with pytest.raises(libnftables.NftError, match="nftables refused"):
        table.apply_scripts((w.network("b"), "add rule inet calico_rkt in-a jump nowhere\n"))
    assert table.live_networks() == before


def test_what_is_live_is_told_by_digest_and_a_chain_edited_by_hand_has_none():
    assert table.live_networks() == ()
    held.ensure_base(())
    table.apply_scripts((w.network("a", to_host=ToHost.RETURN), w.network("b")))
    assert table.live_networks() == (
        table.LiveNetwork("a", w.DIGEST, ToHost.RETURN),
        table.LiveNetwork("b", w.DIGEST, ToHost.DROP),
    )
    libnftables.run_nft("add rule inet calico_rkt in-a accept")
    libnftables.run_nft(to_host_script("b", ToHost.ACCEPT))
    assert [n.digest for n in table.live_networks()] == ["", ""]
    assert held.live_digest("a") == ""
    assert held.live_digest("c") is None


def test_what_the_compiler_writes_is_live_under_the_compilers_digest():
    policy = Network("My Net", object_id("My Net"), (Rule(Action.ALLOW),), (Rule(Action.ALLOW),), ToHost.RETURN)
    script = write_nftables(policy) + to_host_script(policy.id, policy.endpoint_to_host)
    table.build_table([endpoint(1, policy.id)], {policy.id: script}, ())
    for _ in range(2):
        assert table.live_networks() == (table.LiveNetwork(policy.id, digest(policy), ToHost.RETURN),)
        assert held.missing(endpoint(1, policy.id)) == []
        table.apply_scripts((script,))


def test_a_network_with_endpoints_stays_and_one_without_goes():
    held.ensure_base(())
    table.apply_scripts((w.network("a"), w.network("b", into="ip saddr @m4-a return")))
    table.add_endpoint(endpoint(1))
    assert not table.remove_network("a")
    assert held.live_digest("a") == w.DIGEST
    table.remove_endpoint(endpoint(1))
    assert table.remove_network("a")
    assert held.live_digest("a") is None
    assert table.remove_network("b")
    assert not table.remove_network("b")


@pytest.mark.parametrize("name", ["1.2.3.4", "0x1f", "10", "in", "drop", "a--b.c", "My Net", "x" * 63, "ünï", "a.b-c"])
def test_any_networks_id_can_name_chains(name):
    network_id = object_id(name)
    table.build_table([endpoint(1, network_id)], {network_id: w.network(network_id)}, ())
    assert held.missing(endpoint(1, network_id)) == []
    assert held.live_digest(network_id) == w.DIGEST


def test_restore_puts_back_two_thousand_endpoints_in_one_transaction():
    many = [endpoint(n, f"n{n % 20}", ip_masq=n % 2 == 0) for n in range(1, 2001)]
    scripts = {f"n{k}": w.network(f"n{k}") for k in range(20)}
    for _ in range(2):
        table.build_table(many, scripts, w.nets("10.66.0.0/16", "10.66.0.0/24", "fd66::/64"))
    assert len(elements()) == sum(9 if e.ip_masq else 7 for e in many) + 2
    table.add_endpoint(endpoint(3000, "n1"))
    table.remove_endpoint(endpoint(3000, "n1"))
    assert held.missing(many[-1]) == []


def test_adds_and_dels_of_many_processes_lose_nothing():
    held.ensure_base(())
    held.load_network(w.network("a"))
    children = []
    for p in range(1, 5):
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                for n in range(60):
                    table.add_endpoint(endpoint(p * 1000 + n))
                    if n % 2:
                        table.remove_endpoint(endpoint(p * 1000 + n))
                os._exit(0)
            os._exit(1)
        children.append(child)
    assert [os.waitpid(c, 0)[1] for c in children] == [0] * 4
    assert {e for s, e in elements() if s == "all4"} == {
        str(endpoint(p * 1000 + n).addresses[0]) for p in range(1, 5) for n in range(0, 60, 2)
    }


@BOTH
def test_endpoints_of_a_network_whose_profile_is_unfit_are_closed_after_a_restore(lab, family):
    world = w.World(lab)
    a, b = world.end("a"), world.end("unfit")
    with w.inside(world.host):
        table.build_table([a.elements("a"), b.elements("unfit")], {"a": w.network("a")}, ())
    assert not w.connects(a.ns, family, b.address[family], b.ns)
    assert not w.connects(b.ns, family, a.address[family], a.ns)
    assert not w.connects(b.ns, family, w.OUTSIDE[family], world.outside.ns)
    with w.inside(world.host):
        table.build_table([a.elements("a"), b.elements("unfit")], {i: w.network(i) for i in ("a", "unfit")}, ())
    assert w.connects(a.ns, family, b.address[family], b.ns)


@pytest.fixture
def flooded(lab):
    """family -> a host, its endpoints' scripts, and a sink that an endless flood of denied packets is sent to."""
    world = w.World(lab)
    a, closed = world.end("a"), world.end("closed")
    stop = threading.Event()
    with contextlib.ExitStack() as undo:

        def start(family):
            sink = undo.enter_context(w.listener(closed.ns, family, socket.SOCK_DGRAM))
            with w.inside(a.ns):
                source = undo.enter_context(socket.socket(w.FAMILY[family], socket.SOCK_DGRAM))
            target = (closed.address[family], sink.getsockname()[1])

            def flood():
                while not stop.is_set():
                    source.sendto(b"x", target)

            sender = threading.Thread(target=flood)
            undo.callback(sender.join)
            undo.callback(stop.set)
            ends = [a.elements("a"), closed.elements("closed")]
            scripts = {"a": w.network("a"), "closed": w.network("closed", into="")}
            table.build_table(ends, scripts, ())
            sender.start()
            return world, a, sink, lambda: table.build_table(ends, scripts, ())

        yield start


@BOTH
def test_a_restore_under_traffic_lets_no_denied_packet_through_and_cuts_no_flow(flooded, family):
    world, a, sink, restore = flooded(family)
    with w.listener(world.outside.ns, family) as server:
        flow = w.dial(a.ns, family, w.OUTSIDE[family], server)
        taken, _ = server.accept()
    with flow, taken:
        for _ in range(20):
            restore()
        flow.sendall(b"still here")
        taken.settimeout(5)
        assert taken.recv(16) == b"still here"
    with pytest.raises(TimeoutError):
        sink.recv(1)


@BOTH
def test_a_flush_under_traffic_opens_until_the_restore_and_no_longer(flooded, family, record_testsuite_property):
    _world, _a, sink, restore = flooded(family)
    begun = time.perf_counter()
    libnftables.run_nft("flush ruleset")
    restore()
    record_testsuite_property(f"open_ms_ipv{family}", round((time.perf_counter() - begun) * 1e3, 2))
    passed = 0
    with contextlib.suppress(TimeoutError):
        while passed < 1_000_000:
            sink.recv(1)
            passed += 1
    with pytest.raises(TimeoutError):
        sink.recv(1)
