"""calico-rkt check as people run it: a folder in, findings and an exit status out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from calico_rkt.compiler.grammar.overrides import parse_file
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.commands.tree import main

CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}'
)
SHADOWED = """network: web
ingress:
  - {action: Allow, source: {nets: [10.0.0.0/25]}}
  - {action: Allow, source: {nets: [10.0.0.128/25]}}
  - {action: Deny, source: {nets: [10.0.0.0/24]}}
  - default
"""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "web.conf").write_text(CONF)
    (tmp_path / "profiles").mkdir()
    return tmp_path


def test_nothing_to_say(workspace, capsys):
    assert main(["check", "-C", str(workspace)]) == 0
    assert (
        capsys.readouterr().out
        == f"confs: {workspace}; overrides: {workspace}/profiles\n1 network checked: nothing to say\n"
    )


def test_a_rule_that_two_others_hide(workspace, capsys):
    path = workspace / "profiles" / "web.yaml"
    path.write_text(SHADOWED)
    assert main(["check", "-C", str(workspace)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:5:5: CR801 warning: this rule decides nothing" in out
    assert f"together by {path}:3, {path}:4" in out
    assert out.endswith("1 network checked: 1 finding\n")


def test_json(workspace, capsys):
    (workspace / "profiles" / "web.yaml").write_text(SHADOWED)
    assert main(["check", "-C", str(workspace), "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["code"], found["line"]) == ("CR801", 5)


@pytest.mark.parametrize("other", [object_id("Web"), object_id(object_id("Web"))])
def test_a_network_is_never_called_as_another_ones_id(workspace, capsys, other):
    for name in ("Web", other):
        (workspace / f"{name}.conf").write_text(CONF.replace('"web"', f'"{name}"'))
    main(["check", "-C", str(workspace)])
    out = capsys.readouterr().out
    assert ("CR711 error" in out) is (other == object_id("Web")), out


def test_errors_of_all_files_at_once(workspace, capsys):
    (workspace / "profiles" / "web.yaml").write_text("network: web\ningres: []\n")
    (workspace / "db.conf").write_text("{")
    assert main(["check", "-C", str(workspace)]) == 2
    out = capsys.readouterr().out
    assert "CR301 error" in out
    assert "db.conf" in out


@pytest.mark.parametrize("folder", ["absent", "."])
def test_no_workspace(tmp_path, monkeypatch, capsys, folder):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "-C", folder]) == 2
    assert "error" in capsys.readouterr().err


def test_all_problems_of_all_files_in_one_run(tmp_path):
    """Every bad golden case's files in one folder: each code is told, none hides another, nothing breaks."""
    bad = Path(__file__).parents[3] / "golden" / "bad"
    (tmp_path / "profiles").mkdir()
    (tmp_path / "web.conf").write_text(CONF)
    wanted = set()
    for case in sorted(bad.iterdir()):
        for path in sorted((case / "profiles").glob("*.yaml")):
            (tmp_path / "profiles" / f"{case.name}-{path.name}").write_bytes(path.read_bytes())
            wanted |= {d.code for d in parse_file(path.name, path.read_bytes()).diagnostics if d.is_error}
    (tmp_path / "profiles" / "huge.yaml").write_bytes(b"a" * 50 * 1024 * 1024)
    command = [sys.executable, "-m", "calico_rkt", "check", "-C", str(tmp_path), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    told = json.loads(done.stdout)["findings"]
    assert wanted <= {d["code"] for d in told}
    assert len(wanted) > 30
    assert [d["message"] for d in told if d["path"].endswith("huge.yaml")] == [
        "the file has more than 8,388,608 bytes, and no more are read"
    ]


@pytest.mark.parametrize("name", ["host", "outside"])
def test_no_network_is_called_as_who_is_none(workspace, capsys, name):
    (workspace / "x.conf").write_text(CONF.replace('"web"', f'"{name}"'))
    assert main(["check", "-C", str(workspace)]) == 2
    assert f"x.conf: CR840 error: a network can't be called '{name}'" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Host", "outside1", "any", "endpoints"])
def test_other_names_are_nobody_s(workspace, capsys, name):
    (workspace / "x.conf").write_text(CONF.replace('"web"', f'"{name}"'))
    main(["check", "-C", str(workspace)])
    assert "CR840" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "packet, why",
    [("ICMP, icmp: {type: 9}", "invalid"), ("ICMP, icmp: {type: 30}", "invalid"), ("ICMP, icmp: {type: 0}", "replies"),
     ("ICMP, icmp: {type: 3}", "errors"),
     ("ICMPv6, icmp: {type: 137}", "invalid"), ("ICMPv6, icmp: {type: 1}", "errors")],
)  # fmt: skip
def test_a_rule_or_a_promise_about_what_opens_no_flow_decides_nothing(workspace, capsys, packet, why):
    (workspace / "profiles" / "web.yaml").write_text(
        f"network: web\ningress:\n  - {{action: Allow, protocol: {packet}}}\n"
        "tests:\n  - {name: t, from: {outside: true}, to: {network: web}, verdict: Allow, protocol: " + packet + "}\n"
    )
    assert main(["check", "-C", str(workspace)]) == 1
    out = capsys.readouterr().out
    assert "CR807 warning: this rule decides nothing" in out
    assert "CR812 warning: test 't' decides nothing" in out
    assert out.count(why) >= 2


def test_a_key_that_stands_twice_hides_no_other_problem(workspace, capsys):
    (workspace / "profiles" / "web.yaml").write_text(
        "network: web\ningress: []\ningress:\n  - {action: Alow}\n  - {action: Allow, action: Deny, protocol: tpc}\n"
    )
    (workspace / "web.conf").write_text(CONF.replace('"type": "calico"', '"type": "calico", "mtu": -1, "mtu": 0'))
    assert main(["check", "-C", str(workspace)]) == 2
    out = capsys.readouterr().out
    assert out.count("CR107") == 3
    for code in ("CR305", "CR308", "web.conf:1:"):
        assert code in out
    assert out.count("web.conf") >= 2


def test_two_networks_in_one_override_stop_everybody(workspace, capsys):
    (workspace / "profiles" / "x.yaml").write_text("network: db\nnetwork: web\ningress: []\n")
    assert main(["compile", str(workspace / "web.conf")]) == 2
    assert "CR107" in capsys.readouterr().err


@pytest.fixture
def accepted(workspace):
    rules = "{action: Allow}\n  - {action: Deny, source: {nets: [10.0.0.0/8]}}"
    (workspace / "profiles" / "web.yaml").write_text(f"network: web\ningress:\n  - {rules}\n")
    return workspace


def wrote(folder, *args, reason="why"):
    main(["check", "-C", str(folder), "--write-baseline", "--reason", reason, *args])
    return (folder / "baseline.yaml").read_text()


def test_only_chosen_findings_are_accepted(accepted, capsys):
    first = wrote(accepted, "--select", "CR804", reason="open on purpose")
    assert first.count("- code:") == 1
    second = wrote(accepted, "--ignore", "CR804", reason="to be tidied")
    assert second.count("- code:") == 2
    assert "CR804" in second
    assert "open on purpose" in second
    assert "to be tidied" in second
    assert main(["check", "-C", str(accepted)]) == 0
    capsys.readouterr()


def test_reasons_that_were_there_stay_also_beside_no_baseline(accepted, capsys):
    wrote(accepted, reason="first")
    assert wrote(accepted, "--no-baseline", reason="second").count("first") == 2
    capsys.readouterr()


OF_2015 = CONF.replace('"calico",', '"calico", "datastore_type": "etcdv2", "etcd_endpoints": "http://127.0.0.1:2379",')


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{action: Log}", "CR530"),
        ("{action: Allow, notProtocol: TCP}", "CR531"),
        ("{action: Allow, protocol: TCP, source: {notSelector: all()}}", "CR531"),
        ("{action: Allow, source: {selector: foo == 'bar'}}", "CR532"),
        ("{action: Allow, protocol: SCTP, destination: {ports: [80]}}", "CR533"),
    ],
)
def test_what_calico_of_2015_can_not_say_is_told_before_apply_refuses_it(workspace, capsys, rule, code):
    (workspace / "web.conf").write_text(OF_2015)
    path = workspace / "profiles" / "web.yaml"
    path.write_text(f"network: web\ningress:\n  - {rule}\n")
    assert main(["check", "-C", str(workspace)]) == 2
    assert f"{path}:3:5: {code} error: ingress rule 1: the 2015 model" in capsys.readouterr().out
