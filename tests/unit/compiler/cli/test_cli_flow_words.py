"""Flows whose words said less or more than the rules, as people meet them: in each command, from files."""

import json
import subprocess
import sys

import pytest

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'


def run(*args, cwd):
    command = [sys.executable, "-m", "calico_rkt", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def net(tmp_path):
    folder = tmp_path / "net.d"
    (folder / "profiles").mkdir(parents=True)
    (folder / "web.conf").write_text(CONF % ("web", "10.1.0.0/24"))
    (folder / "api.conf").write_text(CONF % ("api", "10.2.0.0/24"))
    return folder


def policy(folder, *rules, network="web"):
    lines = [f"network: {network}", "ingress:" if rules else "ingress: []", *(f"  - {{{r}}}" for r in rules)]
    (folder / "profiles" / f"{network}.yaml").write_text("\n".join(lines) + "\n")


ECHO = "action: Allow, protocol: ICMP, icmp: {type: 8}"
NO_ECHO = "action: Deny, protocol: ICMP, icmp: {type: 8, code: %d}"


@pytest.mark.parametrize(
    ("denied", "words"),
    [
        ((0,), "ICMP type 8 code 1:255"),
        ((0, 4), "ICMP type 8 code any but 0 and 4"),
        ((255,), "ICMP type 8 code 0:254"),
        ((0, 255), "ICMP type 8 code 1:254"),
        ((4,), "ICMP type 8 code any but 4"),
        ((), "ICMP type 8"),
    ],
)
def test_holes_in_icmp_codes_are_said_in_every_command(net, denied, words):
    policy(net)
    subprocess.run(["cp", "-r", net, net.parent / "before"], check=True)
    policy(net, *(NO_ECHO % code for code in denied), ECHO)
    assert f"api -> web: {words}\n" in run("matrix", "-C", "net.d", cwd=net.parent).stdout
    assert f"\n  {words}\n" in run("explain", "api", "web", "-C", "net.d", cwd=net.parent).stdout
    assert f"-> web: {words}\n" in run("diff", "before", "net.d", cwd=net.parent).stdout
    report = run("report", "-C", "net.d", "-o", "-", "--since", "before", cwd=net.parent)
    assert f"<li>{words}</li>" in report.stdout, report.stderr
    assert f"<span>{words}</span>" in report.stdout
    github = run("diff", "before", "net.d", "--format", "github", cwd=net.parent).stdout
    assert f"-> web: {words}%0A" in github


@pytest.mark.parametrize(
    ("field", "ports"),
    [
        ("ports: ['1:65535']", "1:65535"),
        ("ports: ['1:79', '81:65535']", "any but 0 and 80"),
        ("notPorts: [80]", "any but 80"),
        ("notPorts: [65535]", "0:65534"),
        ("notPorts: [1, 65535]", "0 and 2:65534"),
    ],
)
def test_port_0_is_said_where_it_is_meant_and_nowhere_else(net, field, ports):
    policy(net, f"action: Allow, protocol: TCP, destination: {{{field}}}")
    assert f"api -> web: TCP port {ports}\n" in run("matrix", "-C", "net.d", cwd=net.parent).stdout


def test_flows_of_one_answer_share_no_packet(net):
    rules = [
        "action: Deny, source: {nets: [192.0.2.0/24]}",
        "action: Allow, protocol: TCP, destination: {ports: [80, 443]}",
        "action: Allow, protocol: UDP, destination: {ports: [443]}",
    ]
    policy(net, *rules)
    subprocess.run(["cp", "-r", net, net.parent / "before"], check=True)
    policy(net, *rules[1:])
    found = json.loads(run("diff", "before", "net.d", "--format", "json", cwd=net.parent).stdout)
    assert [c["words"] for c in found["changes"]] == [
        "outside -> web: UDP port 443 from 192.0.2.0/24",
        "outside -> web: TCP port 80 and 443 from 192.0.2.0/24",
    ]


def test_labels_are_said_as_a_selector_that_holds_for_all_that_is_meant_and_for_no_other(net):
    policy(net, "action: Deny, source: {selector: \"has(role) && role != 'db'\"}", "action: Allow")
    done = run("explain", "api", "web", "tcp/80", "-C", "net.d", "--format", "json", cwd=net.parent)
    found = json.loads(done.stdout)["cases"]
    said = {c["verdict"]: [f["source_selector"] for f in c["flows"]] for c in found}
    assert said == {"Deny": ['has(role) && role != "db"'], "Allow": ['!has(role) || role == "db"']}
