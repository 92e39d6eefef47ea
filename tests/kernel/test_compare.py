"""Whatever is edited in a live table is named, and a restore makes the table what it was, byte for byte."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import ICMP, TCP, Action, Match, Network, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.targets.nftables.write import write_nftables
from calico_rkt.plugin.enforce.nft import compare, libnftables, table
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, to_host_script
from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support import enforce_world as w

T = "inet calico_rkt"


def script(network):
    return write_nftables(network) + to_host_script(network.id, network.endpoint_to_host)


_TCP = Match(protocol=TCP, destination=Side(ports=(PortRange(80, 80), PortRange(443, 450))))
_NETS = Match(ip_version=4, source=Side(nets=w.nets("10.9.0.0/16", "192.0.2.7/32")))
WEB = Network(
    "web",
    "web",
    (Rule(Action.ALLOW, _TCP), Rule(Action.DENY, _NETS), Rule(Action.ALLOW)),
    (Rule(Action.ALLOW),),
    ToHost.RETURN,
)
API = Network("api", "api", (Rule(Action.LOG), Rule(Action.ALLOW, Match(ip_version=4, protocol=ICMP))), (), ToHost.DROP)
NETWORKS = {n.id: script(n) for n in (WEB, API)}
RANGES = w.nets("10.66.0.0/24", "10.66.1.0/24", "fd66::/64")
ENDPOINTS = [
    EndpointElements(f"crk{n:012x}", (ip_address("10.66.0.0") + n, ip_address("fd66::") + n), i, ip_masq=n % 2 == 0)
    for n, i in enumerate(["web", "web", "api", "unfit"], 1)
]
_API = f"element {T} from_network {{ {group_of('api')}"
_MOVED = f"delete {_API} }}; add {_API}"
WANTED = compare.Wanted(NETWORKS, ENDPOINTS, RANGES)


@pytest.fixture
def _on_the_host(lab):
    with w.inside(lab.host):
        table.build_table(ENDPOINTS, NETWORKS, RANGES)
        yield


def whole():
    return libnftables._call(f"list table {T}")


pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("_on_the_host")]


def test_a_table_as_it_was_restored_differs_in_nothing():
    assert compare.table_differences(WANTED) == ()
    table.apply_scripts(NETWORKS.values())
    for ranges in ((), RANGES):
        table.set_ranges(ranges)
    assert compare.table_differences(WANTED) == ()
    for endpoint in ENDPOINTS[:3]:
        table.remove_endpoint(endpoint)
        table.add_endpoint(endpoint)
        assert compare.table_differences(WANTED) == ()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (f"insert rule {T} out-web return", "chain out-web, rule 1: `return` should not be there"),
        (f"add rule {T} in-api accept", "chain in-api, rule 4: `accept` should not be there"),
        (f"flush chain {T} host-web", "chain host-web, rule 1: `return` should be there"),
        (f"flush chain {T} host-web; add rule {T} host-web accept", "rule 1: `accept` should be `return`"),
        (f"flush set {T} source4", "set source4 lacks crk000000000001 . 10.66.0.1, crk000000000002 . 10.66.0.2"),
        (f"flush set {T} pools6", "set pools6 lacks"),
        (f"flush map {T} to_network", f"map to_network lacks {group_of('web')} : goto in-web"),
        (f"flush set {T} endpoints", f"set endpoints lacks crk000000000001 . {group_of('web')}"),
        (f"add element {T} all4 {{ 10.66.0.99 }}", "set all4 has what no endpoint of ours has: 10.66.0.99"),
        (f"add element {T} m6-api {{ fd66::1 }}", "set m6-api has what no endpoint of ours has: fd66::1"),
        (
            _MOVED + " : goto out-web }",
            f"map from_network lacks {group_of('api')} : goto out-api",
        ),
        (
            _MOVED + " : accept }",
            f"map from_network has what no endpoint of ours has: {group_of('api')}",
        ),
        (f"add element {T} all4 {{ * }}", "set all4 has what no endpoint of ours has: *"),
        (
            f"add element {T} from_network {{ * : goto out-api }}",
            "map from_network has what no endpoint of ours has: * : goto out-api",
        ),
        (f"add element {T} to_network {{ 7 : accept }}", "map to_network has what no endpoint of ours has: 7"),
        (
            f'add element {T} endpoints {{ "crk000000000001" . 7 }}',
            "set endpoints has what no endpoint of ours has: crk000000000001 . 7",
        ),
        (f"add chain {T} more {{ type filter hook forward priority -5; policy drop; }}", "chain more is none of ours"),
        (f"add chain {T} forward {{ policy drop; }}", "is not whole"),
        (f"add table {T} {{ flags dormant; }}", "is not whole"),
        (f"delete table {T}", "is not in the kernel"),
        (f"flush chain {T} layout", "layout"),
    ],
)
def test_an_edit_is_named_and_mended(edit, words):
    fresh = whole()
    libnftables.run_nft(edit)
    found = compare.table_differences(WANTED)
    assert any(words in line for line in found), found
    table.build_table(ENDPOINTS, NETWORKS, RANGES)
    assert compare.table_differences(WANTED) == ()
    assert whole() == fresh


def _handles(chain):
    listed = libnftables.list_json(f"list chain {T} {chain}")
    return [o["rule"]["handle"] for o in listed if "rule" in o]


def test_a_rule_of_the_base_that_is_replaced_is_named():
    handle = _handles("forward")[3]
    libnftables.run_nft(f'replace rule {T} forward handle {handle} iifname "crk*" accept')
    (words,) = compare.table_differences(WANTED)
    assert words == 'chain forward, rule 4: `iifname "crk*" accept` should be `iifname "crk*" jump egress`'


def test_what_nft_does_not_list_is_compared_all_the_same():
    libnftables.run_nft(f"replace rule {T} in-api handle {_handles('in-api')[1]} meta l4proto 1 return")
    assert compare.table_differences(WANTED)


def test_an_endpoint_that_is_being_added_or_taken_away_is_no_difference():
    wanted = compare.Wanted(NETWORKS, ENDPOINTS[1:], RANGES, [ENDPOINTS[0]])
    assert compare.table_differences(wanted) == ()
    libnftables.run_nft(f'delete element {T} endpoints {{ "crk000000000001" . {group_of("web")} }}')
    assert compare.table_differences(wanted) == ()
    table.remove_endpoint(ENDPOINTS[0])
    assert compare.table_differences(wanted) == ()
    assert compare.table_differences(WANTED)


def test_an_attachment_is_told_of_what_it_rests_on_and_of_nothing_else():
    one = compare.Wanted({"web": NETWORKS["web"]}, ENDPOINTS[:1], RANGES)
    libnftables.run_nft(f"insert rule {T} in-api accept; flush set {T} m4-api")
    assert compare.table_differences(one, only=["web"]) == ()
    for edit in (f"insert rule {T} egress accept", f"insert rule {T} in-web accept", f"flush set {T} source6"):
        libnftables.run_nft(edit)
        assert compare.table_differences(one, only=["web"])
        table.build_table(ENDPOINTS, NETWORKS, RANGES)


def _edits(chance):
    """A random single edit of the live table, as nft has it."""
    listed = libnftables.list_json(f"list table {T}")
    rules = [(o["rule"]["chain"], o["rule"]["handle"]) for o in listed if "rule" in o]
    chain, handle = chance.choice(rules)
    sets = [b for o in listed for b in (o.get("set"), o.get("map")) if b and b.get("elem") and "pools" not in b["name"]]
    body = chance.choice(sets)
    element = table._element(chance.choice(body["elem"])).partition(" : ")[0]
    return chance.choice(
        [
            f"delete rule {T} {chain} handle {handle}",
            f"insert rule {T} {chain} handle {handle} counter",
            f"add rule {T} {chain} handle {handle} {chance.choice(['accept', 'drop', 'ip daddr 10.0.0.1 accept'])}",
            f"replace rule {T} {chain} handle {handle} {chance.choice(['accept', 'continue', 'tcp dport 81 drop'])}",
            f"delete element {T} {body['name']} {{ {element} }}",
            f"add element {T} all4 {{ 10.77.{chance.randrange(256)}.1 }}",
            f"add chain {T} strange{chance.randrange(9)}",
        ]
    )


def test_every_random_edit_is_named_and_mended_to_the_last_byte():
    fresh = whole()
    for seed in range(60):
        edit = _edits(random.Random(seed))
        libnftables.run_nft(edit)
        assert compare.table_differences(WANTED), (seed, edit)
        table.build_table(ENDPOINTS, NETWORKS, RANGES)
        assert whole() == fresh, (seed, edit)
    assert compare.table_differences(WANTED) == ()


def test_a_networks_name_of_any_kind_is_compared():
    network = Network("My Net.1", object_id("My Net.1"), (Rule(Action.ALLOW),), (Rule(Action.ALLOW),), ToHost.ACCEPT)
    one = EndpointElements("crk000000000009", (ip_address("10.66.0.9"),), network.id)
    table.build_table([one], {network.id: script(network)}, ())
    assert compare.table_differences(compare.Wanted({network.id: script(network)}, [one], ())) == ()
