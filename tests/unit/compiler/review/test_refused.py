"""An answer about rules that no host publishes says so: no endpoint of this host carries such a label."""

import json
import subprocess
import sys

import pytest

CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'
)
FOO = "network: web\ningress:\n  - {action: Allow, source: {selector: has(foo)}}\n"
BACK = "network: web\ningress:\n  - {action: Allow, source: {network: back}}\n"
MINE = "network: web\ningress:\n  - {action: Allow, source: {selector: has(web)}}\n"
WORDS = {FOO: "no network here applies the label foo", BACK: "no conf here has the network 'back'"}
COMMANDS = {
    "explain": ("explain", "web", "web", "tcp/80"),
    "matrix": ("matrix",),
    "markdown": ("matrix", "--format", "markdown"),
    "csv": ("matrix", "--format", "csv"),
    "svg": ("matrix", "--format", "svg"),
    "diff": ("diff", "../old"),
    "diff as markdown": ("diff", "../old", "--format", "markdown"),
    "diff as sarif": ("diff", "../old", "--format", "sarif"),
    "test": ("test",),
    "report": ("report", "-o", "-"),
}


@pytest.fixture
def net(tmp_path):
    for name in ("old", "net"):
        (tmp_path / name / "profiles").mkdir(parents=True)
        (tmp_path / name / "web.conf").write_text(CONF)
        (tmp_path / name / "profiles" / "web.yaml").write_text(MINE)
    return tmp_path / "net"


def run(net, *argv):
    command = [sys.executable, "-m", "calico_rkt", *argv, *(() if argv[0] == "diff" else ("-C", "."))]
    done = subprocess.run(command, cwd=net, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("text", [FOO, BACK], ids=["label", "network"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_answer_carries_what_no_host_publishes(net, name, text):
    assert run(net, *COMMANDS[name]).returncode in (0, 1)
    (net / "profiles" / "web.yaml").write_text(text)
    done = run(net, *COMMANDS[name])
    assert done.returncode == 2
    assert "CR540 error: " in done.stderr
    assert WORDS[text] in done.stderr
    if name not in ("csv", "svg"):
        shown = done.stdout.replace("&#39;", "'").replace("\\'", "'")
        assert "CR540" in shown
        assert WORDS[text] in shown


@pytest.mark.parametrize("name", ["explain", "matrix"])
def test_json_has_it_among_the_reservations(net, name):
    (net / "profiles" / "web.yaml").write_text(FOO)
    (said,) = json.loads(run(net, *COMMANDS[name], "--format", "json").stdout)["read"]["reservations"]
    assert said.startswith("CR540: profiles/web.yaml:3:")
    assert WORDS[FOO] in said


def test_a_difference_that_mends_it_is_no_failure_of_its_own(net):
    (net.parent / "old" / "profiles" / "web.yaml").write_text(FOO)
    done = run(net, "diff", "../old")
    assert done.returncode == 1
    assert "OLD CR540: " in done.stdout
    assert "\n- OLD CR540: " in run(net, "diff", "../old", "--format", "markdown").stdout
    for style in ("github", "sarif"):
        done = run(net, "diff", "../old", "--format", style)
        assert (done.returncode, "CR540" in done.stdout, "CR815" in done.stdout) == (1, False, True), done.stdout


def test_a_cluster_s_endpoints_may_have_any_label(net):
    conf = json.loads(CONF) | {"datastore_type": "etcdv3", "etcd_endpoints": "http://127.0.0.1:2379"}
    (net / "web.conf").write_text(json.dumps(conf))
    (net / "profiles" / "web.yaml").write_text(FOO)
    done = run(net, "explain", "web", "web", "tcp/80")
    assert (done.returncode, done.stderr) == (0, "")
