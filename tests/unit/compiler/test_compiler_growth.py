"""What is read takes as much longer as it is longer: processor time of an input and of one four times as long."""

from __future__ import annotations

import time

import pytest

from calico_rkt.compiler.bundle.read import read_bundle
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Action, Match, Network, Rule, Side
from calico_rkt.compiler.pipeline import compile_for_host
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.compiler.text.json_nodes import parse_json
from calico_rkt.compiler.text.yaml_nodes import parse_yaml
from tests.growth import growth

LARGEST = 8 << 20


def problems(parse):
    """How many problems there are, of which only the first ones are told."""
    try:
        parse()
    except CompileError as e:
        return len(e.diagnostics)
    return 0


def as_json(text):
    assert problems(lambda: parse_json("f", text.encode(), forgiving=True, largest=LARGEST)) < 100


def as_yaml(text):
    assert problems(lambda: parse_yaml("f", text.encode())) < 100


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "{" + "// a word\n" * n + "}",
        lambda n: "[" + "[1,]," * n + "1]",
        lambda n: "[" + "1,/**/" * n + "1]",
        lambda n: "[" + "/*" * n,
        lambda n: '["' + '\\"' * n,
        lambda n: "[" + '"\\' * n,
        lambda n: "{" + '"a": 1,' * n + '"a": 1}',
        lambda n: "[" + '"\\ud800",' * n + "1]",
        lambda n: "[NaN," * n,
        lambda n: "#" * n,
    ],
    ids=["comments", "commas", "on one line", "unclosed comments", "escapes", "quotes", "keys", "halves", "deep", "#"],
)
def test_json_takes_as_long_as_it_is(make):
    assert growth(lambda n: as_json(make(n)), 5000) < 2.5


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "".join(f"- &a{k} 1\n" for k in range(n)),
        lambda n: "[" + "&a 1," * n + "]",
        lambda n: "[" + "*a," * n + "]",
        lambda n: "{" + "a: 1," * n + "}",
        lambda n: "a:\n" + "\t- 1\n" * n,
        lambda n: "".join(f"- '{k} # no'  # comment\n" for k in range(n)),
    ],
    ids=["anchors", "on one line", "aliases", "keys", "tabs", "comments"],
)
def test_yaml_takes_as_long_as_it_is(make):
    assert growth(lambda n: as_yaml(make(n)), 3000) < 2.5


def pools(n):
    one = "---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: p{}\nspec:\n  cidr: 10.{}.{}.0/24\n"
    return "".join(one.format(k, k // 256, k % 256) for k in range(n))


def test_an_import_takes_as_long_as_it_is():
    def whole(n):
        assert len(read_bundle("f", pools(n).encode()).pools) == n

    def broken(n):
        with pytest.raises(CompileError):
            read_bundle("f", ("---\n- [\n" * n).encode())

    assert growth(whole, 250) < 2.5
    assert growth(broken, 500) < 2.5


MIXED = (
    "{{action: Allow, protocol: TCP, source: {{network: net{0}}}, destination: {{ports: [{1}]}}}}",
    "{{action: Deny, protocol: UDP, source: {{notNets: [10.{0}.{2}.0/24]}}, destination: {{ports: [{1}]}}}}",
    "{{action: Allow, protocol: ICMP, icmp: {{type: {0}}}, source: {{nets: [10.{0}.{2}.0/24]}}}}",
    "{{action: Deny, protocol: TCP, source: {{nets: [10.{0}.{2}.0/24, 11.{0}.0.0/16], notPorts: [{1}]}}}}",
    "{{action: Allow, source: {{selector: 'has(net{0}) || has(net1)'}}}}",
    "{{action: Deny, notProtocol: TCP, source: {{nets: [10.{0}.{2}.0/24], network: net{0}}}}}",
)


def test_rules_of_every_kind_are_proven_in_time_that_grows_with_them():
    conf, _ = parse_conf(
        b'{"cniVersion": "1.0.0", "name": "web", "type": "calico",'
        b' "ipam": {"type": "host-local", "subnet": "10.9.0.0/16"}}'
    )

    def compiled(n):
        rules = (MIXED[k % 6].format(k % 200, 1 + k, k % 100) for k in range(n))
        text = "network: web\ningress:\n" + "".join(f"  - {rule}\n" for rule in rules)
        assert len(compile_for_host(conf, {"web.yaml": text.encode()}).network.ingress) >= n

    assert growth(compiled, 150) < 2.5


def test_long_lists_that_are_split_are_joined_in_one_go():
    from ipaddress import ip_network

    def joined(n):
        nets = tuple(ip_network((0x0A000000 + 256 * k, 24)) for k in range(n))
        network = Network("web", "web", ingress=(Rule(Action.ALLOW, Match(ip_version=4, source=Side(nets=nets))),))
        text = write_calico_v3(network)
        begun = time.process_time()
        assert verify_calico_v3(text) == network
        return time.process_time() - begun

    assert growth(joined, 3000) < 2.5
