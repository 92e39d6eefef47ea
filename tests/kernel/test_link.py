"""Claims about links on a real kernel: a "host" and containers, each a network namespace of their own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from calico_rkt.plugin.link import netns
from tests.patience import slowness

pytestmark = pytest.mark.kernel

PRELUDE = """
import json, sys
from ipaddress import ip_address, ip_network
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import conntrack, host_networks, netlink, netns, pair, state
from calico_rkt.plugin.model import Endpoint, Key

def make(path, container, *addresses, nonce="a" * 16, up=True, **more):
    key = Key("web", container, more.pop("ifname", "eth0"))
    more["routes"] = [ip_network(r) for r in more.get("routes", ())]
    with netns.open_netns(path) as ns:
        made = pair.create_pair(ns, key=key, nonce=nonce, ifname=key.ifname,
                                addresses=[ip_address(a) for a in addresses],
                                host_ifname=more.pop("host_ifname", pair.host_ifname(key)), **more)
    if up:
        pair.bring_up_pair(made)
    return made

def endpoint(path, made, container, nonce="a" * 16):
    return Endpoint(Key("web", container, made.ifname), nonce, path, 0, 0, made.host_ifname, made.mac, made.addresses)

def problems(path, made, container, routes=(), nonce="a" * 16):
    with netns.open_netns(path) as ns:
        return pair.check_link(ns, endpoint(path, made, container, nonce), [ip_network(r) for r in routes])

def error(act):
    try:
        act()
    except CniError as e:
        return [e.code, e.msg]
    return None

def say(*what):
    print(json.dumps(what if len(what) > 1 else what[0], default=str))
"""


def run(lab, code):
    return [json.loads(line) for line in lab.python(lab.host, PRELUDE + code).splitlines()]


def ip(lab, ns, *words):
    return json.loads(lab.run(ns, ["ip", "-j", *words], check=True).stdout or "[]")


def pings(lab, ns, address):
    """With the first packet; on a busy machine a link that has just come up may lose some."""
    return any(lab.run(ns, ["ping", "-c1", "-W2", address]).returncode == 0 for _ in range(round(slowness())))


def links(lab, ns):
    return sorted(i["ifname"] for i in ip(lab, ns, "link") if i["ifname"] != "lo")


def sysctl(lab, ns, name):
    return lab.run(ns, ["cat", f"/proc/sys/net/{name}"], check=True).stdout.strip()


@pytest.mark.parametrize(("one", "two"), [("10.1.0.2", "10.1.0.3"), ("fd00:1::2", "fd00:1::3")])
def test_containers_reach_each_other_with_the_first_packet_on_a_host_without_a_default_route(lab, one, two):
    a, b = lab.container(), lab.container()
    run(lab, f"make({a!r}, 'a', {one!r}); make({b!r}, 'b', {two!r})")
    assert lab.run(lab.host, ["ip", "route", "show", "default"]).stdout == ""
    for address in ("192.168.9.1/32", "fd00:99::1/128"):
        lab.run(lab.host, ["ip", "addr", "add", address, "dev", "lo"], check=True)
    assert pings(lab, a, two)
    assert pings(lab, b, one)
    assert pings(lab, lab.host, one)


def test_a_dual_stack_link_is_as_calico_makes_it(lab):
    c = lab.container()
    run(lab, f"make({c!r}, 'c', '10.1.0.2', 'fd00:1::2', routes=['10.9.0.0/16', 'fd00:9::/32'], mtu=1400)")
    (host_end,) = [i for i in ip(lab, lab.host, "addr") if i["ifname"] != "lo"]
    assert (host_end["address"], host_end["mtu"]) == ("ee:ee:ee:ee:ee:ee", 1400)
    assert host_end["ifname"].startswith("crk")
    assert len(host_end["ifname"]) == 15
    assert [a["local"] for a in host_end["addr_info"]] == ["fe80::ecee:eeff:feee:eeee"]
    assert not any(a.get("tentative") for a in host_end["addr_info"])
    (inner,) = [i for i in ip(lab, c, "addr") if i["ifname"] == "eth0"]
    held = {a["local"]: a["prefixlen"] for a in inner["addr_info"] if a["scope"] == "global"}
    assert held == {"10.1.0.2": 32, "fd00:1::2": 128}
    assert inner["mtu"] == 1400
    v4 = {r["dst"]: r.get("gateway") for r in ip(lab, c, "route")}
    assert v4 == {"default": "169.254.1.1", "10.9.0.0/16": "169.254.1.1", "169.254.1.1": None}
    v6 = {r["dst"]: r.get("gateway") for r in ip(lab, c, "-6", "route") if r.get("gateway")}
    assert v6 == dict.fromkeys(["default", "fd00:9::/32"], "fe80::ecee:eeff:feee:eeee")
    inside = {(n["dst"], n["lladdr"]) for n in ip(lab, c, "neigh") if "PERMANENT" in n["state"]}
    assert inside == {(g, "ee:ee:ee:ee:ee:ee") for g in ("169.254.1.1", "fe80::ecee:eeff:feee:eeee")}
    learnt = [n for n in ip(lab, lab.host, "neigh") if "extern_learn" in n]
    assert not any("PERMANENT" in n["state"] for n in learnt), "another MAC is learnt"
    outside = {(n["dst"], n["lladdr"]) for n in learnt}
    assert outside == {("10.1.0.2", inner["address"]), ("fd00:1::2", inner["address"])}
    name = host_end["ifname"]
    assert sysctl(lab, lab.host, f"ipv4/conf/{name}/rp_filter") == "1"
    assert sysctl(lab, lab.host, f"ipv4/conf/{name}/forwarding") == "1"
    for knob in ("proxy_arp", "route_localnet"):
        assert sysctl(lab, lab.host, f"ipv4/conf/{name}/{knob}") == sysctl(lab, lab.host, f"ipv4/conf/default/{knob}")
    assert sysctl(lab, lab.host, f"ipv6/conf/{name}/accept_ra") == "0"


def test_the_host_end_stays_down_until_it_is_brought_up(lab):
    c = lab.container()
    (name,) = run(lab, f"say(make({c!r}, 'c', '10.1.0.2', up=False).host_ifname)")
    (link,) = ip(lab, lab.host, "link", "show", name)
    assert "UP" not in link["flags"]
    assert not pings(lab, c, "169.254.1.1")
    assert ip(lab, lab.host, "route") == []


def test_forwarding_is_turned_on_only_for_the_family_in_use_and_keeps_router_advertisements(lab):
    lab.run(lab.host, ["ip", "link", "add", "up0", "type", "bridge"], check=True)
    assert sysctl(lab, lab.host, "ipv6/conf/up0/accept_ra") == "1"
    c, d = lab.container(), lab.container()
    run(lab, f"make({c!r}, 'c', '10.1.0.2')")
    assert sysctl(lab, lab.host, "ipv4/ip_forward") == "1"
    assert sysctl(lab, lab.host, "ipv6/conf/all/forwarding") == "0"
    run(lab, f"make({d!r}, 'd', 'fd00:1::2')")
    assert sysctl(lab, lab.host, "ipv6/conf/all/forwarding") == "1"
    assert sysctl(lab, lab.host, "ipv6/conf/up0/accept_ra") == "2"


def test_the_host_end_of_an_ipv4_network_has_no_ipv6(lab):
    c = lab.container()
    (name,) = run(lab, f"say(make({c!r}, 'c', '10.1.0.2').host_ifname)")
    assert sysctl(lab, lab.host, f"ipv6/conf/{name}/disable_ipv6") == "1"
    assert ip(lab, lab.host, "-6", "route", "show", "table", "all", "dev", name) == []


def test_the_container_s_end_of_an_ipv4_network_has_no_ipv6_address_of_its_own_accord(lab):
    four, both = lab.container(), lab.container()
    run(lab, f"make({four!r}, 'four', '10.1.0.2'); make({both!r}, 'both', '10.1.0.3', 'fd00:1::3')")
    (end,) = [i for i in ip(lab, four, "addr") if i["ifname"] == "eth0"]
    assert [a["local"] for a in end["addr_info"]] == ["10.1.0.2"]
    assert sysctl(lab, four, "ipv6/conf/eth0/disable_ipv6") == "0", "who asks for IPv6 there is not refused"
    (end,) = [i for i in ip(lab, both, "addr") if i["ifname"] == "eth0"]
    assert sorted(a["scope"] for a in end["addr_info"]) == ["global", "global", "link"], "neighbours are asked from it"


def test_an_ipv4_network_of_a_small_mtu_needs_no_ipv6(lab):
    """Below 1,280 bytes Linux has no IPv6 on an interface at all, as where it was started without."""
    a, b = lab.container(), lab.container()
    run(lab, f"make({a!r}, 'a', '10.1.0.2', mtu=600); make({b!r}, 'b', '10.1.0.3', mtu=600)")
    assert lab.run(a, ["ls", "/proc/sys/net/ipv6/conf/eth0"]).returncode, "it has none"
    assert pings(lab, a, "10.1.0.3")


def test_ipv6_works_where_new_interfaces_have_it_disabled(lab):
    c = lab.container()
    for ns in (c, lab.host):
        lab.run(ns, ["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"], check=True)
    run(lab, f"make({c!r}, 'c', 'fd00:1::2')")
    assert pings(lab, lab.host, "fd00:1::2")


def test_a_name_that_exists_is_refused_and_stays_as_it_was(lab):
    c = lab.container()
    lab.run(c, ["ip", "link", "add", "eth0", "address", "02:00:00:00:00:09", "type", "bridge"], check=True)
    lab.run(lab.host, ["ip", "link", "add", "crk0", "type", "bridge"], check=True)
    lab.run(lab.host, ["ip", "link", "set", "crk0", "alias", "mine"], check=True)
    inside, outside = run(
        lab,
        f"say(error(lambda: make({c!r}, 'c', '10.1.0.2')));"
        f"say(error(lambda: make({c!r}, 'c', '10.1.0.2', ifname='eth1', host_ifname='crk0')))",
    )
    assert (inside[0], "eth0 already" in inside[1]) == (104, True)
    assert (outside[0], "crk0 already" in outside[1]) == (104, True)
    assert links(lab, c) == ["eth0"]
    assert ip(lab, c, "link", "show", "eth0")[0]["address"] == "02:00:00:00:00:09"
    assert links(lab, lab.host) == ["crk0"]
    assert ip(lab, lab.host, "link", "show", "crk0")[0]["ifalias"] == "mine"


@pytest.mark.parametrize("address", ["10.1.0.2", "fd00:1::2"])
@pytest.mark.parametrize("how", ["route", "address"])
def test_an_address_that_the_host_routes_elsewhere_is_refused_before_anything_changes(lab, address, how):
    c = lab.container()
    lab.run(lab.host, ["ip", "link", "add", "d0", "up", "type", "bridge"], check=True)
    words = ["route", "add", address, "dev", "d0"] if how == "route" else ["addr", "add", address, "dev", "d0"]
    lab.run(lab.host, ["ip", *words], check=True)
    (error,) = run(lab, f"say(error(lambda: make({c!r}, 'c', {address!r})))")
    assert (error[0], address in error[1]) == (104, True)
    assert links(lab, c) == []
    assert links(lab, lab.host) == ["d0"]


def test_a_create_that_fails_half_way_leaves_nothing(lab):
    c = lab.container()
    (error,) = run(lab, f"say(error(lambda: make({c!r}, 'c', '10.1.0.2', routes=['169.254.1.1/32'])))")
    assert error[0] == 104
    assert links(lab, c) == links(lab, lab.host) == []


def test_the_mtu_is_that_of_the_default_route_or_1500(lab):
    one, two = lab.container(), lab.container()
    run(lab, f"make({one!r}, 'one', '10.1.0.2')")
    lab.run(lab.host, ["ip", "link", "add", "up0", "mtu", "1380", "up", "type", "bridge"], check=True)
    lab.run(lab.host, ["ip", "route", "add", "default", "dev", "up0"], check=True)
    run(lab, f"make({two!r}, 'two', '10.1.0.3')")
    assert [ip(lab, ns, "link", "show", "eth0")[0]["mtu"] for ns in (one, two)] == [1500, 1380]


def test_the_alias_says_whose_a_link_is_however_long_the_names_are(lab):
    c = lab.container()
    long = "c" * 300
    name, owner, owned = run(
        lab,
        f"made = make({c!r}, {long!r}, '10.1.0.2', nonce='0123456789abcdef');"
        "say(made.host_ifname); say(state.owner(made.host_ifname)); say(state.owned_links())",
    )
    assert owner == "0123456789abcdef"
    assert owned == [[name, owner]]
    (link,) = ip(lab, lab.host, "link", "show", name)
    assert link["ifalias"].startswith("calico-rkt 0123456789abcdef eth0 web ccc")


def test_a_late_removal_leaves_the_next_holder_alone(lab):
    c = lab.container()
    (answers,) = run(
        lab,
        f"made = make({c!r}, 'c', '10.1.0.2', nonce='new');"
        "say([pair.delete_pair(made.host_ifname, n) for n in ('old', '', 'new', 'new')])",
    )
    assert answers == [False, False, True, False]
    assert links(lab, c) == links(lab, lab.host) == []


def test_many_links_are_removed_at_once_and_no_others(lab):
    paths = [lab.container() for _ in range(4)]
    lab.run(lab.host, ["ip", "link", "add", "cali0", "type", "veth", "peer", "cali1"], check=True)
    removed, _ = run(
        lab,
        "from concurrent.futures import ThreadPoolExecutor\n"
        f"made = [make(p, f'c{{i}}', f'10.1.0.{{i + 2}}') for i, p in enumerate({paths!r})]\n"
        "ends = [(m.host_ifname, 'a' * 16) for m in made[:3]]\n"
        "ends += [(made[3].host_ifname, 'old'), ('cali0', ''), ('crk0', 'x')]\n"
        "with ThreadPoolExecutor(len(ends)) as pool: say(sum(pool.map(lambda e: pair.delete_pair(*e), ends)))\n"
        "say(state.owned_links())",
    )
    assert removed == 3
    assert [links(lab, p) for p in paths] == [[], [], [], ["eth0"]]
    assert {"cali0", "cali1"} < set(links(lab, lab.host))


def test_a_leftover_of_ours_without_a_record_is_removed_and_a_foreign_one_is_not(lab):
    c = lab.container()
    (answers,) = run(
        lab,
        f"make({c!r}, 'c', '10.1.0.2');"
        "say([pair.delete_unrecorded(Key('web', n, 'eth0')) for n in ('other', 'c', 'c')])",
    )
    assert answers == [False, True, False]
    (name,) = run(lab, "say(pair.host_ifname(Key('web', 'c', 'eth0')))")
    lab.run(lab.host, ["ip", "link", "add", name, "type", "bridge"], check=True)
    assert run(lab, "say(pair.delete_unrecorded(Key('web', 'c', 'eth0')))") == [False]


def test_the_inner_end_is_removed_only_when_it_is_the_one_meant(lab):
    c = lab.container()
    (answers,) = run(
        lab,
        f"made = make({c!r}, 'c', '10.1.0.2')\n"
        f"with netns.open_netns({c!r}) as ns:\n"
        "    say([pair.delete_inside(ns, 'eth0', m) for m in ('02:00:00:00:00:01', made.mac, made.mac)])",
    )
    assert answers == [False, True, False]
    assert links(lab, lab.host) == []


BREAKAGES = {
    "inner link gone": ("c", "link del eth0", "has no eth0"),
    "inner link down": ("c", "link set eth0 down", "is down"),
    "address gone": ("c", "addr del 10.1.0.2/32 dev eth0", "lacks 10.1.0.2"),
    "IPv6 address gone": ("c", "addr del fd00:1::2/128 dev eth0", "lacks fd00:1::2"),
    "default route gone": ("c", "route del default", "no route to 0.0.0.0/0"),
    "IPv6 default route gone": ("c", "-6 route del default", "no route to ::/0"),
    "conf's route gone": ("c", "route del 10.9.0.0/16", "no route to 10.9.0.0/16"),
    "neighbour of another MAC": (
        "c",
        "neigh replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0",
        "takes 02:00:00:00:00:01 for 169.254.1.1",
    ),
    "other MAC": ("c", "link set eth0 address 02:00:00:00:00:01", "has the MAC 02:00:00:00:00:01"),
    "host end down": ("host", "link set HOST down", "HOST is down"),
    "host route gone": ("host", "route del 10.1.0.2", "no route to 10.1.0.2"),
    "other alias": ("host", "link set HOST alias mine", "belongs to another"),
}


@pytest.mark.parametrize("case", BREAKAGES)
def test_check_says_what_is_not_whole(lab, case):
    where, command, said = BREAKAGES[case]
    c = lab.container()
    lab.run(lab.host, ["ip", "link", "add", "d0", "up", "type", "bridge"], check=True)
    lab.run(lab.host, ["ip", "route", "add", "default", "dev", "d0"], check=True)
    make = f"made = make({c!r}, 'c', '10.1.0.2', 'fd00:1::2', routes=['10.9.0.0/16'], mac='02:00:00:00:00:aa');"
    name, before = run(lab, make + f"say(made.host_ifname); say(problems({c!r}, made, 'c', ['10.9.0.0/16']))")
    assert before == []
    words = command.replace("HOST", name).split()
    lab.run(c if where == "c" else lab.host, ["ip", *words], check=True)
    again = (
        "held = tuple(map(ip_address, ('10.1.0.2', 'fd00:1::2')));"
        f"made = pair.Link({name!r}, 0, 'eth0', '02:00:00:00:00:aa', 0, held);"
    )
    (after,) = run(lab, again + f"say(problems({c!r}, made, 'c', ['10.9.0.0/16']))")
    assert any(said.replace("HOST", name) in p for p in after), after


def test_an_address_on_the_host_and_an_on_link_network_are_found_and_our_own_are_not(lab):
    c = lab.container()
    for words in ("link add d0 up type bridge", "addr add 192.168.7.1/24 dev d0", "addr add fd00:7::1/64 dev d0 nodad"):
        lab.run(lab.host, ["ip", *words.split()], check=True)
    lab.run(lab.host, ["ip", "route", "add", "10.7.0.0/16", "dev", "d0"], check=True)
    lab.run(lab.host, ["ip", "route", "add", "10.8.0.0/16", "via", "192.168.7.9"], check=True)
    lab.run(lab.host, ["ip", "route", "add", "default", "dev", "d0"], check=True)
    lab.run(lab.host, ["ip", "route", "add", "10.9.0.9", "dev", "d0"], check=True)
    look = "say([[str(n), i] for n, i in host_networks.{}()])"
    found, networks = run(
        lab,
        f"make({c!r}, 'c', '10.1.0.2', 'fd00:1::2')\n{look.format('host_networks')}\n{look.format('on_link_networks')}",
    )
    assert sorted(found) == sorted(
        [
            ["127.0.0.1/32", "lo"],
            ["::1/128", "lo"],
            ["192.168.7.1/32", "d0"],
            ["192.168.7.0/24", "d0"],
            ["10.7.0.0/16", "d0"],
            ["10.9.0.9/32", "d0"],
            ["fd00:7::1/128", "d0"],
            ["fd00:7::/64", "d0"],
        ]
    )
    assert networks == [[n, i] for n, i in found if not n.endswith(("/32", "/128"))]


def test_a_missing_foreign_or_own_namespace_is_refused(lab, tmp_path):
    plain = tmp_path / "file"
    plain.write_text("")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    paths = [str(tmp_path / "gone"), str(plain), str(fifo), "/proc/self/ns/mnt", "/proc/self/ns/net", str(tmp_path)]
    (codes,) = run(
        lab,
        "def look(path):\n"
        "    with netns.open_netns(path): pass\n"
        f"say([error(lambda p=p: look(p))[0] for p in {paths!r}])",
    )
    assert codes == [3, 3, 3, 3, 4, 3]


def test_work_in_a_namespace_leaves_the_caller_where_it_was(lab):
    c = lab.container()
    before, there, after, failed, last = run(
        lab,
        "import os\n"
        "here = lambda: os.stat('/proc/thread-self/ns/net').st_ino\n"
        "say(here())\n"
        f"with netns.open_netns({c!r}) as ns:\n"
        "    say(netns.run_in(ns, here)); say(here())\n"
        "    say(error(lambda: netns.run_in(ns, lambda: (_ for _ in ()).throw(CniError(5, 'no')))))\n"
        "    say(here())",
    )
    assert before == after == last
    assert there == Path(c).stat().st_ino
    assert failed == [5, "no"]


def test_who_can_not_come_back_from_a_namespace_ends_at_once(lab):
    """It would take the container for the host in everything that it did next."""
    c = lab.container()
    code = (
        "from calico_rkt.plugin.link import netns\n"
        "from calico_rkt.plugin.errors import CniError\n"
        "go, seen = netns._setns, []\n"
        "def setns(fd, path):\n"
        "    seen.append(path)\n"
        "    if len(seen) > 1: raise CniError(5, 'no way back')\n"
        "    go(fd, path)\n"
        "netns._setns = setns\n"
        "try:\n"
        f"    with netns.open_netns({c!r}) as ns: netns.run_in(ns, lambda: print('there', flush=True))\n"
        "finally:\n"
        "    print('went on')\n"
    )
    done = lab.run(lab.host, [sys.executable, "-c", code])
    assert (done.returncode, done.stdout) == (netns.LOST, "there\n"), done
    assert "no way back" in done.stderr


FLOWS = """
table inet t {
    chain c {
        type filter hook prerouting priority 0
        ct state established accept
    }
}
"""


def nat(rule):
    return f"""
table ip n {{
    chain {rule[0]} {{
        type nat hook {rule[0]} priority 0
        {rule[1]}
    }}
}}
"""


@pytest.mark.parametrize("few", [16384, -1])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("end", ["source", "destination"])
def test_flows_of_an_address_are_forgotten_and_no_others(lab, version, end, few):
    addresses = ["10.1.0.2", "10.1.0.3", "10.1.0.4"] if version == 4 else ["fd00:1::2", "fd00:1::3", "fd00:1::4"]
    paths = [lab.container() for _ in addresses]
    lab.run(lab.host, ["nft", "-f", "-"], FLOWS, check=True)
    run(lab, "\n".join(f"make({p!r}, 'c{i}', {a!r})" for i, (p, a) in enumerate(zip(paths, addresses, strict=True))))
    assert pings(lab, paths[0], addresses[1])
    assert pings(lab, paths[1], addresses[2])
    listed = ["conntrack", "-L", "-f", f"ipv{version}"]
    gone = addresses[0 if end == "source" else 2]

    def flows() -> set[tuple[str, ...]]:
        """Each flow's addresses: where a ping was slow there are two flows of two that ping."""
        lines = lab.run(lab.host, listed).stdout.splitlines()
        return {tuple(word for word in line.split() if word.startswith(("src=", "dst="))) for line in lines}

    before = flows()
    assert len(before) == 2, before
    run(lab, f"conntrack._FEW = {few}; conntrack.flush_flows([ip_address({gone!r})])")
    assert flows() == {words for words in before if not any(word.endswith(f"={gone}") for word in words)}
    assert len(flows()) == 1


@pytest.mark.parametrize("few", ["", "16384", "-1"])
@pytest.mark.parametrize(
    "rule",
    [("postrouting", "ip saddr 10.1.0.2 snat to 10.1.0.9"), ("prerouting", "ip daddr 10.1.0.9 dnat to 10.1.0.3")],
)
def test_flows_that_nat_hides_are_forgotten_by_any_of_their_addresses(lab, rule, few):
    """As kernels do it by themselves, and before Linux 6.9: with one walk of the table, or one for each side."""
    a, b = lab.container(), lab.container()
    lab.run(lab.host, ["nft", "-f", "-"], FLOWS + nat(rule), check=True)
    run(lab, f"make({a!r}, 'a', '10.1.0.2'); make({b!r}, 'b', '10.1.0.3')")
    lab.run(lab.host, ["ip", "addr", "add", "10.1.0.9", "dev", "lo"], check=True)
    for gone in ("10.1.0.2", "10.1.0.3", "10.1.0.9"):
        assert pings(lab, a, "10.1.0.9" if rule[0] == "prerouting" else "10.1.0.3")
        assert gone in lab.run(lab.host, ["conntrack", "-L"]).stdout
        flush = f"conntrack.flush_flows([ip_address({gone!r})])"
        run(lab, f"conntrack._flush = lambda *_: False; conntrack._FEW = {few}; {flush}" if few else flush)
        assert lab.run(lab.host, ["conntrack", "-L"]).stdout == ""


def test_a_host_that_tracks_nothing_has_nothing_to_forget(lab):
    run(lab, "conntrack.flush_flows([ip_address('10.1.0.2')])")


@pytest.mark.parametrize("zone", ["zone", "original zone", "reply zone"])
def test_flows_in_a_zone_of_somebody_s_are_forgotten_too(lab, zone):
    a, b = lab.container(), lab.container()
    zones = f"table inet z {{\n chain c {{\n  type filter hook prerouting priority raw\n  ct {zone} set 7\n }}\n}}\n"
    lab.run(lab.host, ["nft", "-f", "-"], FLOWS + zones, check=True)
    run(lab, f"make({a!r}, 'a', '10.1.0.2'); make({b!r}, 'b', '10.1.0.3')")
    assert pings(lab, a, "10.1.0.3")
    assert "10.1.0.3" in lab.run(lab.host, ["conntrack", "-L"]).stdout
    run(lab, "conntrack.flush_flows([ip_address('10.1.0.3')])")
    assert "10.1.0.3" not in lab.run(lab.host, ["conntrack", "-L"]).stdout


def test_a_killed_create_never_leaves_a_link_without_its_owner(lab):
    """The pair and its alias are one system call, so at whatever point the kill comes, the alias is there."""
    c = lab.container()
    code = PRELUDE + (
        "import os, signal\n"
        f"path = {c!r}\n"
        "pair.inside.furnish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "make(path, 'c', '10.1.0.2')"
    )
    killed = lab.run(lab.host, [sys.executable, "-c", code])
    assert killed.returncode == -9
    (owned,) = run(lab, "say(state.owned_links())")
    assert [nonce for _, nonce in owned] == ["a" * 16]
    assert run(lab, "say(pair.delete_pair(*state.owned_links()[0]))") == [True]
    assert links(lab, c) == []
