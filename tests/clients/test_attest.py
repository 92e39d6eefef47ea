"""What somebody changes on a host: attest finds it, with a packet that shows it, and nothing where all is well."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.lab import Lab, conf, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

T = "inet calico_rkt"
NETWORKS = {
    "web": conf("web", pool("10.1.0.0/24", "fd00:1::/64")),
    "api": conf("api", pool("10.2.0.0/24"), ipMasq=True),
}
WEB = """\
network: web
ingress:
  - {action: Log, protocol: ICMP}
  - action: Allow
    protocol: TCP
    source: {network: api}
    destination: {ports: [80, "8000:8100"]}
  - {action: Deny, source: {nets: [198.51.100.0/24]}}
  - {action: Allow, protocol: UDP}
  - default
egress:
  - {action: Deny, destination: {nets: [169.254.169.254/32]}}
  - default
"""


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[Lab]:
    """A host with endpoints in two networks, one of them with rules of its own."""
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-attest")
    made.override("web", WEB)
    for name, known in NETWORKS.items():
        made.write(f"/etc/cni/net.d/{name}.conf", json.dumps(known))
    names, sixes = {}, {}
    for name, network in (("web1", "web"), ("web2", "web"), ("api1", "api")):
        result = Caller(made).add(NETWORKS[network], name, made.netns(name))
        names[name], sixes[name] = (addresses(result) * 2)[:2]  # api has one family
    made.addresses, made.sixes = names, sixes  # type: ignore[attr-defined]
    yield made
    made.close()


def attest(lab: Lab, *more: str) -> tuple[int, dict[str, Any]]:
    done = tool(lab, "attest", "--format", "json", *more)
    assert done.stdout, done
    said: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(answers()).validate(said)
    return done.returncode, said


def named(lab: Lab, text: str) -> str:
    """The text with the host end of web1 for WEB and its address for ADDRESS."""
    listed = json.loads(lab.out("ip", "-j", "link", "show", "type", "veth"))
    end = next(i["ifname"] for i in listed if " web1 " in i.get("ifalias", "") or "web1" in i.get("ifalias", ""))
    four, six = lab.addresses["web1"], lab.sixes["web1"]  # type: ignore[attr-defined]
    return text.replace("WEB", end).replace("ADDRESS", four).replace("SIX", six)


def test_a_host_that_nobody_touched_is_equal(host: Lab) -> None:
    code, found = attest(host)
    assert (code, found["outcome"], found["differences"], found["not_proven"]) == (0, "equal", [], [])
    assert (found["networks"], found["endpoints"]) == (2, 3)
    text = tool(host, "attest").stdout.decode()
    assert "equal: the kernel enforces exactly this" in text
    assert f"3 endpoints, no revision (not a clean checkout), digest {found['digest']}" in text


def test_an_edit_is_found_with_a_packet_the_kernels_rule_and_the_files_line(host: Lab) -> None:
    host.out("nft", f"insert rule {T} in-web ip saddr 198.51.100.0/24 tcp dport 22 return")
    code, found = attest(host)
    text = tool(host, "attest")
    host.out("/opt/cni/bin/calico", "restore")
    assert (code, text.returncode) == (1, 1)
    (one,) = found["differences"]
    rule = "chain in-web, rule 1: `ip saddr 198.51.100.0/24 tcp dport 22 return`"
    assert (one["rule"], one["kernel"], one["line"]) == (rule, "passes", "/etc/calico-rkt/profiles/web.yaml:8")
    assert (one["packet_values"]["protocol"], one["packet_values"]["destination"]["port"]) == ("TCP", 22)
    assert one["packet_values"]["source"]["ip"].startswith("198.51.100.")
    assert f"differs: {rule}" in text.stdout.decode()
    assert "  reviewed  is dropped: ingress of web, /etc/calico-rkt/profiles/web.yaml:8" in text.stdout.decode()


BESIDE = [
    (
        "sysctl -qw net.ipv4.conf.out0.forwarding=0",
        "sysctl -qw net.ipv4.conf.out0.forwarding=1",
        "out0/forwarding is off",
    ),
    (
        "ip xfrm policy add dir fwd action block src ADDRESS dst 0.0.0.0/0",
        "ip xfrm policy flush",
        "an IPsec policy (direction fwd) blocks",
    ),
    (
        "ip -6 xfrm policy add dir in action block src ::/0 dst fd00:1::/64",
        "ip xfrm policy flush",
        "an IPsec policy (direction in) blocks ::/0 to fd00:1::/64",
    ),
    ("ip xfrm policy setdefault fwd block", "ip xfrm policy setdefault fwd accept", "IPsec blocks what has no policy"),
    ("ip xfrm policy add dir fwd action block src 172.16.0.0/24 dst 172.17.0.0/16", "ip xfrm policy flush", ""),
    (
        "ip route add ADDRESS/32 dev out0 tos 0x10",
        "ip route del ADDRESS/32 dev out0 tos 0x10",
        "the host's route to ADDRESS for type of service 16 may lead",
    ),
    ("ip link set WEB arp off", "ip link set WEB arp on", "WEB asks for no neighbours"),
    (
        "ip rule del prio 0",
        "ip rule add prio 0 from all table local",
        "IPv4's ip rule 0 (table 255) is not there",
    ),
    (
        "ip rule add prio 32766 prohibit table main",
        "ip rule del prio 32766 prohibit table main",
        "IPv4's ip rule 32766 (table 254) may route",
    ),
    (
        "ip -6 rule add prio 32766 from SIX table main suppress_prefixlength 8",
        "ip -6 rule del prio 32766 from SIX table main",
        "IPv6's ip rule 32766 (table 254) may route",
    ),
    (
        (
            "tc qdisc add dev WEB root handle 1: htb; "
            "tc filter add dev WEB parent 1: protocol ip u32 match u32 0 0 classid 1:5"
        ),
        "tc qdisc del dev WEB root",
        "WEB has tc's htb, whose filters may drop",
    ),
    ("tc qdisc add dev WEB root handle 1: htb default 5", "tc qdisc del dev WEB root", ""),
]


@pytest.mark.parametrize(("edit", "mend", "words"), BESIDE)
def test_what_is_beside_netfilter_is_named_and_never_guessed(host: Lab, edit: str, mend: str, words: str) -> None:
    host.out("sh", "-ec", "ip route replace default via 192.0.2.254 dev out0")
    host.out("sh", "-ec", named(host, edit))
    code, found = attest(host)
    host.out("sh", "-ec", named(host, mend))
    host.out("/opt/cni/bin/calico", "restore")
    assert (code, found["differences"]) == (3 if words else 0, []), found
    assert [line for line in found["not_proven"] if named(host, words) in line] or not words, found


def test_a_neighbour_written_down_for_good_with_another_mac_is_a_difference(host: Lab) -> None:
    for state in ("permanent", "noarp"):
        host.out("sh", "-ec", named(host, f"ip neigh replace ADDRESS lladdr 02:00:00:00:00:99 dev WEB nud {state}"))
        code, found = attest(host)
        host.out("/opt/cni/bin/calico", "restore")
        assert code == 1, (state, found)
        assert any(" takes 02:00:00:00:00:99 for " in d["what"] for d in found["differences"]), (state, found)
        assert attest(host)[0] == 0, state


def test_links_routes_and_forwarding_are_part_of_it(host: Lab) -> None:
    for edit, mend in (
        ("ip route del ADDRESS dev WEB", "restore"),
        ("sysctl -qw net.ipv4.ip_forward=0", "restore"),
        ("ip link set WEB down; ip link set WEB name other0; ip link set other0 up", "restore"),
    ):
        host.out("sh", "-ec", named(host, edit))
        code, found = attest(host)
        host.out("/opt/cni/bin/calico", mend)
        assert code == 1, (edit, found)
        assert any(d["kernel"] == "is lost" and d["packet"] for d in found["differences"]), (edit, found)
    assert attest(host)[0] == 0


@pytest.mark.parametrize(
    ("edit", "mend"),
    [
        ("ip route prepend blackhole ADDRESS", "ip route del blackhole ADDRESS"),
        ("ip -6 route add blackhole SIX metric 1", "ip -6 route del blackhole SIX metric 1"),
        ("ip route add unreachable ADDRESS table local", "ip route del unreachable ADDRESS table local"),
        ("ip route add local ADDRESS dev lo table local", "ip route del local ADDRESS dev lo table local"),
    ],
)
def test_a_route_that_comes_before_an_endpoint_s_is_found(host: Lab, edit: str, mend: str) -> None:
    host.out("sh", "-ec", named(host, edit))
    code, found = attest(host)
    host.out("sh", "-ec", named(host, mend))
    assert code == 1, found
    assert any(d["kernel"] == "is lost" and d["packet"] and "another way" in d["what"] for d in found["differences"])
    assert attest(host)[0] == 0


@pytest.mark.parametrize(
    ("edit", "mend", "said"),
    [
        ("ip route del unreachable 10.1.0.0/24", "restore", "no unreachable route that keeps 10.1.0.0/24"),
        ("ip -6 route del unreachable fd00:1::/64", "restore", "no unreachable route that keeps fd00:1::/64"),
        (
            "ip route del unreachable 10.1.0.0/24; ip route add blackhole 10.1.0.0/24",
            "ip route del blackhole 10.1.0.0/24",
            "no unreachable route that keeps 10.1.0.0/24",
        ),
        (
            "sysctl -qw net.ipv4.conf.WEB.rp_filter=0",
            "sysctl -qw net.ipv4.conf.WEB.rp_filter=1",
            "rp_filter is 0, not 1",
        ),
        (
            "sysctl -qw net.ipv4.conf.WEB.rp_filter=2",
            "sysctl -qw net.ipv4.conf.WEB.rp_filter=1",
            "rp_filter is 2, not 1",
        ),
    ],
)
def test_what_guards_beside_the_table_and_is_taken_away_is_not_proven(
    host: Lab, edit: str, mend: str, said: str
) -> None:
    host.out("sh", "-ec", named(host, edit))
    code, found = attest(host)
    if mend != "restore":
        host.out("sh", "-ec", named(host, mend))
    host.out("/opt/cni/bin/calico", "restore")
    assert (code, found["outcome"]) == (3, "not proven"), found
    assert any(said in words for words in found["not_proven"]), found
    assert attest(host)[0] == 0


def test_what_else_may_keep_packets_from_their_way_is_named_and_not_proven(host: Lab) -> None:
    host.out("iptables-legacy", "-A", "FORWARD", "-m", "mark", "--mark", "7", "-j", "DROP")
    host.out("sh", "-ec", named(host, "tc qdisc add dev WEB clsact; ip -6 rule add fwmark 7 table 100"))
    code, found = attest(host)
    host.out("sh", "-ec", named(host, "tc qdisc del dev WEB clsact; ip -6 rule del fwmark 7; iptables-legacy -F"))
    assert (code, found["outcome"]) == (3, "not proven"), found
    said = "\n".join(found["not_proven"])
    assert "iptables-legacy, table filter: `-A FORWARD -m mark" in said
    assert named(host, "WEB has tc's clsact, whose filters may drop packets") in said
    assert "IPv6's ip rule 32765 (table 100) may route packets of endpoints by another way" in said
    assert len(found["not_proven"]) == 3, found
    assert attest(host)[0] == 0


def test_a_revision_and_a_folder_are_attested_and_what_is_not_in_them_is_not_proven(host: Lab) -> None:
    script = """
    mkdir -p /opt/srv/net/profiles; cp /etc/cni/net.d/*.conf /opt/srv/net
    cp /etc/calico-rkt/profiles/web.yaml /opt/srv/net/profiles
    cd /opt/srv; git init -q -b main; git add .; git -c user.name=a -c user.email=a@b commit -qm one
    """
    host.out("sh", "-ec", script)
    commit = host.out("git", "-C", "/opt/srv", "rev-parse", "HEAD").strip()
    own = attest(host)[1]
    for words in (("/opt/srv/net",), ("main", "-C", "/opt/srv/net"), ("-C", "/opt/srv/net")):
        code, found = attest(host, *words)
        assert (code, found["revision"], found["digest"]) == (0, commit, own["digest"]), (words, found)
    host.out("sh", "-ec", "sed -i 's/8000:8100/8000:8101/' /opt/srv/net/profiles/web.yaml")
    code, found = attest(host, "/opt/srv/net")
    assert (code, found["revision"]) == (1, None)
    assert {d["packet_values"]["destination"]["port"] for d in found["differences"]} == {8101}
    host.out("rm", "/opt/srv/net/api.conf", "/opt/srv/net/profiles/web.yaml")
    code, found = attest(host, "/opt/srv/net")
    assert code in (1, 3), found
    assert any("network api has endpoints here and is not in the workspace" in w for w in found["not_proven"]), found


@pytest.mark.slow
def test_the_agent_attests_after_each_apply_and_restore_and_its_metrics_say_what_came_of_it(binary: Path) -> None:
    lab = Lab(binary, f"calico-rkt-lab-{os.getpid()}-attester")
    try:
        lab.write("/etc/cni/net.d/web.conf", json.dumps(NETWORKS["web"]))
        Caller(lab).add(NETWORKS["web"], "c1", lab.netns("c1"))
        agent = Agent(lab).start()
        equal = 'calico_rkt_attested{outcome="equal"} 1.0'
        until(lambda: equal in agent.page(), "the agent attests once it has begun")
        for change in ("apply", "restore"):
            before = record(lab)
            if change == "apply":
                lab.override("web", WEB.replace("network: api", "network: web"))
                assert tool(lab, "apply", "--yes").returncode == 0
            else:
                lab.out("nft", "insert", "rule", *T.split(), "in-web", "return")
            fresh = partial(_is_fresh, lab, before["at"])  # before the table is restored it may be different
            until(fresh, f"the agent attests after the {change}")
        assert "calico_rkt_attested_age_seconds " in agent.page()
        lab.out("sysctl", "-qw", "net.ipv4.ip_forward=0")
        assert tool(lab, "attest", "--record").returncode == 1
        assert 'calico_rkt_attested{outcome="different"} 1.0' in agent.page()
        lab.write("/etc/cni/net.d/web.conf", "{bad")
        assert tool(lab, "attest", "--record").returncode == 2
        assert record(lab)["outcome"] == "failed"
    finally:
        lab.close()


def _is_fresh(lab: Lab, before: float) -> bool:
    now = record(lab)
    return now["at"] > before and now["outcome"] == "equal"


def record(lab: Lab) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(lab.path("/run/calico-rkt/attested.json").read_text())
    return loaded


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "-C", "/opt/srv/net"), "nowhere"),
        (("/usr/lib",), "no conf of type calico"),
        (("main", "extra"), "unrecognized arguments"),
        (("--format", "yaml"), "invalid choice"),
        (("",), "an empty word"),
        (("-C", "/nowhere"), "/nowhere"),
        (("HEAD~99", "-C", "/opt/srv/net"), "HEAD~99"),
        (("--profiles", "/nowhere"), "/nowhere"),
        (("/etc/passwd",), "/etc/passwd is a file, no folder of confs"),
        (("nowhere",), "'nowhere' is no folder, so it is taken for a revision"),
        (("main..HEAD", "-C", "/opt/srv/net"), "two revisions in one word"),
        (("-C", ""), "an empty path"),
        (("--record=yes",), "--record"),
        (("/opt/srv/bad",), "not UTF-8"),
    ],
)
def test_what_can_not_be_read_ends_with_2_and_says_what(host: Lab, words: tuple[str, ...], said: str) -> None:
    host.out(
        "sh", "-ec", "mkdir -p /opt/srv/net /opt/srv/bad; git -C /opt/srv init -q -b main"
    )  # in whatever order tests run
    host.out("sh", "-ec", r"printf '\377' >/opt/srv/bad/web.conf")
    done = tool(host, "attest", *words)
    assert done.returncode == 2, done
    assert said in done.stderr.decode(), done
