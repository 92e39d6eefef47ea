"""What would stop a Felix is refused for a cluster, unless somebody says how its Felix enforces."""

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.grammar.overrides import parse_file
from calico_rkt.compiler.ir.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir.model import Icmp
from calico_rkt.compiler.pipeline import compile_for_host
from calico_rkt.compiler.targets.calico_v3.read import read_calico_v3
from calico_rkt.compiler.targets.felix import JUDGED, Nodes
from calico_rkt.plugin.commands.tree import main

CODES = ["protocol: ICMP, icmp: {type: 8, code: 0}", "protocol: ICMPv6, icmp: {type: 128, code: 0}",
         "protocol: ICMP, notICMP: {type: 8, code: 0}"]  # fmt: skip
NO_CODES = ["protocol: ICMP, icmp: {type: 8}", "protocol: ICMP", "protocol: 1, notICMP: {type: 8}"]


def files(rule, felix=None):
    out = {"web.yaml": f"network: web\ningress:\n  - {{action: Allow, {rule}}}\n".encode()}
    if felix is not None:
        out["settings.yaml"] = f"settings: {{felix: {felix}}}\n".encode()
    return out


def refused(rule, settings=None, store="etcdv3", nodes=None):
    conf = NetConf("web", "calico", "1.0.0", Ipam("host-local"), datastore_type=store)
    try:
        compile_for_host(conf, files(rule, settings), felix=nodes)
    except CompileError as e:
        return [d.code for d in e.diagnostics if d.is_error]
    return []


@pytest.mark.parametrize("rule", CODES)
def test_a_code_is_refused_where_nobody_knows_how_felix_enforces(rule):
    assert refused(rule) == ["CR550"]
    assert refused(rule, "[iptables, ebpf]") == []
    assert refused(rule, "[iptables, nftables]") == ["CR550"]


@pytest.mark.parametrize("rule", NO_CODES)
def test_a_type_alone_is_never_refused(rule):
    assert refused(rule) == []


@pytest.mark.parametrize("store", ["local", "etcdv2"])
def test_where_no_felix_of_today_enforces_a_code_is_no_matter(store):
    assert refused(CODES[0], store=store) == []


def test_what_the_cluster_says_is_believed_before_what_a_file_says():
    nft = Nodes(frozenset({"nftables"}), "node a")
    assert refused(CODES[0], "[iptables]", nodes=nft) == ["CR550"]
    assert refused(CODES[0], nodes=Nodes(frozenset({"iptables"}))) == []
    unsure = Nodes(frozenset({"nftables"}), "nobody", sure=False)
    assert refused(CODES[0], nodes=unsure) == ["CR550"]
    assert refused(CODES[0], "[iptables]", nodes=unsure) == []
    assert refused(CODES[0], nodes=JUDGED) == []


@pytest.mark.parametrize(
    "text, code",
    [("[iptable]", "CR339"), ("[]", "CR340"), ("iptables", "CR302"), ("[null]", "CR303")],
)
def test_a_mode_that_felix_does_not_have_is_named(text, code):
    found = parse_file("s.yaml", f"settings: {{felix: {text}}}\n".encode())
    assert [d.code for d in found.diagnostics] == [code]
    assert "nftables" in found.settings.felix


def test_a_not_protocol_beside_another_protocol_goes_and_beside_its_own_is_refused():
    conf = NetConf("web", "calico", "1.0.0", Ipam("host-local"), datastore_type="etcdv3")
    done = compile_for_host(conf, files("protocol: TCP, notProtocol: UDP"))
    assert "notProtocol" not in done.text
    same = compile_for_host(conf, files("protocol: TCP"))
    assert done.digest == same.digest
    assert refused("protocol: TCP, notProtocol: TCP") == ["CR551"]
    assert refused("protocol: TCP, notProtocol: 6") == ["CR551"]
    assert refused("protocol: TCP, notProtocol: TCP", store="local") == []


@pytest.mark.parametrize("rule", ["protocol: 1", "protocol: 58", "notProtocol: 1", "notProtocol: 58",
                                  "protocol: 1, notICMP: {type: 8}", "protocol: 58, icmp: {type: 128}"])  # fmt: skip
def test_icmp_by_its_number_is_written_by_its_name_and_with_its_family(rule):
    conf = NetConf("web", "calico", "1.0.0", Ipam("host-local"), datastore_type="etcdv3")
    text = compile_for_host(conf, files(rule)).text
    assert "rotocol: ICMP" in text
    assert "otProtocol: ICMP" in text or "ipVersion: " in text


CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "datastore_type": "etcdv3", '
    '"etcd_endpoints": "http://127.0.0.1:2379", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}'
)


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "web.conf").write_text(CONF)
    (tmp_path / "profiles").mkdir()
    for name, data in files(CODES[0]).items():
        (tmp_path / "profiles" / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    "command", [["check", "-C", "."], ["test", "-C", "."], ["compile", "web.conf"], ["matrix", "-C", "."]]
)
def test_every_answer_says_it_with_the_reason_the_versions_and_the_way_out(workspace, capsys, monkeypatch, command):
    monkeypatch.chdir(workspace)
    assert main(command) == 2
    said = "".join(capsys.readouterr())
    assert "web.yaml:3:5: CR550 error: ingress rule 1: Felix in nftables mode can't say an ICMP code" in said
    assert "Felix of August 2026" in said
    assert "settings: {felix: [iptables, ebpf]}" in said
    (workspace / "profiles" / "settings.yaml").write_text("settings: {felix: [iptables, ebpf]}\n")
    assert main(command) in (0, 1)
    assert "CR550" not in "".join(capsys.readouterr())


def test_a_change_that_takes_the_code_out_can_be_reviewed(workspace, tmp_path_factory, capsys):
    new = tmp_path_factory.mktemp("new")
    (new / "web.conf").write_text(CONF)
    (new / "profiles").mkdir()
    (new / "profiles" / "web.yaml").write_bytes(files(NO_CODES[0])["web.yaml"])
    assert main(["diff", str(workspace), str(new)]) == 1
    assert main(["diff", str(new), str(workspace)]) == 2
    assert "CR550" in "".join(capsys.readouterr())


def test_the_rule_means_the_same_without_its_not_protocol():
    conf = NetConf("web", "calico", "1.0.0", Ipam("host-local"), datastore_type="local")
    rules = compile_for_host(conf, files("protocol: ICMP, notProtocol: TCP, icmp: {type: 8}")).network.ingress
    from ipaddress import ip_address

    ends = End(ip_address("10.0.0.1")), End(ip_address("10.7.0.2"))
    assert evaluate(rules, Packet(*ends, 1, Icmp(8, 0))).allowed
    assert not evaluate(rules, Packet(*ends, 6)).allowed


@pytest.mark.parametrize("net", ["::ffff:10.0.0.1/128", "::ffff:10.0.0.0/104"])
def test_an_ipv4_network_in_ipv6_clothes_is_read_from_no_profile(net):
    conf = NetConf("web", "calico", "1.0.0", Ipam("host-local"), datastore_type="local")
    text = compile_for_host(conf, files("source: {nets: ['2001:db8::/32']}")).text.replace("2001:db8::/32", net)
    with pytest.raises(CompileError) as caught:
        read_calico_v3(text)
    assert caught.value.diagnostics[0].code == "CR510"


def test_only_the_old_side_of_a_diff_is_read_whatever_felix_makes_of_it(workspace, capsys):
    assert main(["diff", str(workspace), str(workspace)]) == 2
    assert "CR550" in "".join(capsys.readouterr())
