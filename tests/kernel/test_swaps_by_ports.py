"""Chains that ports lead to, in the kernel: swapped under a flood, taken away with their network, missed when gone."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from calico_rkt.compiler.ir.model import Action, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.pipeline import write_proven
from calico_rkt.plugin.attest.chains import compared
from calico_rkt.plugin.attest.reading import read_kernel
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.nft.elements import to_host_script
from tests.kernel.support import enforce_world as w
from tests.kernel.test_swaps import DENIED, Flood

pytestmark = pytest.mark.kernel
UDP = 17


def policy(network_id, ports, number=0):
    """To some ports: denied from a /28 and others' nets, allowed from elsewhere; the number changes a rule."""
    rules = [Rule(Action.DENY, Match(4, source=Side(nets=(ip_network("10.65.0.0/28"),))))]
    rules += (
        Rule(Action.DENY, Match(4, source=Side(nets=(ip_network(f"10.{8 + number}.{n}.0/24"),)))) for n in range(60)
    )
    rules += (Rule(Action.ALLOW, Match(4, UDP, destination=Side(ports=(found,)))) for found in ports)
    return Network(network_id, network_id, tuple(rules), (Rule(Action.ALLOW),))


def script(network):
    return write_proven(network, "nftables") + to_host_script(network.id, network.endpoint_to_host)


def ports(classes):
    """Ports in so many classes; all from 1024 on are among them."""
    return [PortRange(n, n) for n in range(1, 32 * classes)] + [PortRange(1024, 65535)]


def chains():
    return {o["chain"]["name"] for o in libnftables.list_json("list table inet calico_rkt") if "chain" in o}


def attested(network):
    kernel = read_kernel().rules.tables["inet", "calico_rkt"]
    return compared(kernel.chains[f"in-{network.id}"], network.ingress, kernel.sets, kernel.chains)


def test_a_swap_lets_nothing_through_that_both_deny_and_loses_nothing_that_both_allow(lab):
    flood = Flood(lab)
    ready = [script(policy("b", ports(n), n)) for n in (2, 1)]
    assert ["goto in-b/3" in text for text in ready] == [True, False]
    with w.inside(flood.world.host):
        table.build_table(flood.ends, {"a": w.network("a"), "b": ready[0]}, ())
        with flood:
            for number in range(20):
                table.apply_scripts([ready[number % 2]])
        assert flood.came[DENIED] == 0, f"{flood.came} of {flood.sent}"
        assert sum(flood.came.values()) == sum(flood.sent.values()) // 2 > 0, f"{flood.came} of {flood.sent}"
        assert {name for name in chains() if "/" in name or name.startswith("next-")} == {"in-b/1", "in-b/2"}


def test_chains_that_ports_lead_to_are_part_of_their_network(lab):
    with w.inside(lab.host):
        wanted = policy("b", ports(3))
        table.build_table([], {"b": script(wanted)}, ())
        assert {"in-b/1", "in-b/2", "in-b/3", "in-b/4"} <= chains()
        assert table.chains_present("b")
        assert [n.network_id for n in table.live_networks() if n.digest] == ["b"]
        assert attested(wanted).equal
        libnftables.run_nft("flush chain inet calico_rkt in-b/2\n")
        assert not table.chains_present("b")
        found = attested(wanted)
        assert found.packet is not None
        assert found.kernel_allows
        table.apply_scripts([script(wanted)])
        assert attested(wanted).equal
        libnftables.run_nft("flush chain inet calico_rkt in-b/4\n")  # where all go that no chain of a port decides
        assert not table.chains_present("b")
        assert attested(wanted).kernel_allows
        table.apply_scripts([w.network("b")])
        assert table.chains_present("b")
        assert not any("/" in name for name in chains())
        table.apply_scripts([script(policy("b", ports(2)))])
        assert table.remove_network("b")
        assert not any("in-b" in name for name in chains())
