"""The review's commands as people run them: what they print, where, and how they end."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys

import pytest

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'
BEFORE = """\
network: web
ingress:
  - {action: Allow, protocol: TCP, source: {nets: [198.51.100.0/24]}, destination: {ports: [443]}}
  - default
tests:
  - name: the front end does not reach us
    from: {network: front}
    to: {network: web}
    verdict: Deny
"""
GUARDRAILS = """\
guardrails:
  never:
    - {name: no telnet, from: {outside: true}, to: {endpoints: true}, protocol: TCP, port: 23, because: it is clear}
  envelope:
    - {name: https, to: {network: web}, protocol: TCP, port: 443}
"""


def run(*args, cwd, env=None, **kwargs):
    command = [sys.executable, "-m", "calico_rkt", *args]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, **kwargs
    )


@pytest.fixture
def net(tmp_path):
    folder = tmp_path / "net.d"
    (folder / "profiles").mkdir(parents=True)
    (folder / "web.conf").write_text(CONF % ("web", "10.1.0.0/24"))
    (folder / "front.conf").write_text(CONF % ("front", "10.2.0.0/24"))
    (folder / "profiles" / "web.yaml").write_text(BEFORE)
    (folder / "profiles" / "guardrails.yaml").write_text(GUARDRAILS)
    return folder


READ = "confs: net.d; overrides: net.d/profiles\n"
BOTH = f"OLD confs: before; overrides: before/profiles\nNEW {READ}"


def changed(folder, old, new):
    path = folder / "profiles" / "web.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def copy_of(folder, name):
    subprocess.run(["cp", "-r", folder, folder.parent / name], check=True)
    return name


def test_all_is_well(net):
    for command in ("check", "test"):
        done = run(command, "-C", "net.d", cwd=net.parent)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert run("test", "-C", "net.d", cwd=net.parent).stdout == f"{READ}2 tests and guardrails: 2 hold, 0 do not\n"


def test_a_broken_guardrail_names_a_packet_and_the_line(net):
    changed(net, "ports: [443]", 'ports: ["22:443"]')
    done = run("test", "-C", "net.d", cwd=net.parent)
    assert done.returncode == 1
    assert "CR811 error: never 'no telnet' does not hold (it is clear): TCP 198.51.100.1:49152" in done.stdout
    assert (
        "= ingress of web: net.d/profiles/web.yaml:3 Allow IPv4 TCP from 198.51.100.0/24 to port 22:443" in done.stdout
    )
    assert run("check", "-C", "net.d", cwd=net.parent).returncode == 1
    assert run("check", "-C", "net.d", "--ignore", "CR811", cwd=net.parent).returncode == 0
    only = run("test", "-C", "net.d", "--only", "the front*", cwd=net.parent)
    assert (only.returncode, only.stdout) == (0, f"{READ}1 tests and guardrails: 1 hold, 0 do not\n")


def test_a_test_about_nobody_is_a_finding(net):
    changed(net, "from: {network: front}", "from: {network: frond}")
    done = run("test", "-C", "net.d", cwd=net.parent)
    assert done.returncode == 1
    assert (
        "CR812 warning: test 'the front end does not reach us' decides nothing: no conf here has the network 'frond'"
        in (done.stdout)
    )


def test_coverage_lists_rules_that_no_test_decides(net):
    changed(net, "  - default\n", "  - {action: Deny, protocol: UDP}\n  - default\n")
    done = run("test", "-C", "net.d", "--coverage", cwd=net.parent)
    assert "no test decides net.d/profiles/web.yaml:3 Allow" in done.stdout
    assert "web.yaml:4" not in done.stdout


def test_a_log_limit_that_changes_is_a_difference_of_logging(net):
    changed(net, "  - default\n", "  - {action: Log, protocol: UDP}\n  - default\n")
    copy_of(net, "before")
    (net / "profiles" / "site.yaml").write_text("settings: {log_limit: {rate: 3, burst: 5}}\n")
    words = "each Log of web writes 3 lines a second (5 at once), not 10 (50 at once)"
    told = f"logging differs: {words} (net.d/profiles/web.yaml:4)\nsame packets allowed, though the rules differ\n"
    done = run("diff", "before", "net.d", cwd=net.parent)
    assert (done.returncode, done.stdout.partition("net.d/profiles\n")[2]) == (0, told)
    again = json.loads(run("diff", "before", "net.d", "--format", "json", cwd=net.parent).stdout)
    assert again["logging"] == [{"where": words, "lines": ["net.d/profiles/web.yaml:4"]}]
    assert "logging differs" not in run("diff", "net.d", "net.d", cwd=net.parent).stdout


def test_diff_between_folders_says_what_is_let_through(net):
    copy_of(net, "before")
    changed(net, "198.51.100.0/24", "198.51.0.0/16")
    done = run("diff", "before", "net.d", cwd=net.parent)
    assert done.returncode == 1
    assert done.stdout.startswith(
        f"{BOTH}newly allowed:\n  outside -> web: TCP port 443 from 198.51.0.0/18, 198.51.64.0/19, 198.51.96.0/22, "
        "198.51.101.0/24, 198.51.102.0/23, 198.51.104.0/21, 198.51.112.0/20 and 198.51.128.0/17\n"
    )
    assert "now      allowed: ingress of web: net.d/profiles/web.yaml:3 Allow IPv4 TCP" in done.stdout
    assert "newly denied" not in done.stdout
    assert run("diff", "before", "net.d", "--fail-on", "widened", cwd=net.parent).returncode == 1
    assert run("diff", "net.d", "before", "--fail-on", "widened", cwd=net.parent).returncode == 0
    within = run("diff", "before", "net.d", "--within-guardrails", cwd=net.parent)
    assert (within.returncode, within.stdout.splitlines()[-1]) == (
        0,
        "all that is newly allowed lies within the guardrails",
    )


def test_a_change_can_not_widen_its_own_envelope(net):
    copy_of(net, "before")
    changed(net, "ports: [443]", "ports: [443, 8443]")
    rails = net / "profiles" / "guardrails.yaml"
    rails.write_text(rails.read_text().replace("port: 443", "port: [443, 8443]"))
    done = run("diff", "before", "net.d", "--within-guardrails", cwd=net.parent)
    assert done.returncode == 1
    assert (
        "newly allowed outside the guardrails:\n  outside -> web: TCP port 8443 from 198.51.100.0/24\n" in done.stdout
    )


def test_diff_of_other_words_for_the_same(net):
    copy_of(net, "before")
    assert run("diff", "before", "net.d", cwd=net.parent).stdout == (f"{BOTH}same packets allowed: nothing differs\n")
    changed(net, "[198.51.100.0/24]", "[198.51.100.128/25, 198.51.100.0/25]")
    assert run("diff", "before", "net.d", cwd=net.parent).stdout == (
        f"{BOTH}same packets allowed: nothing differs but the text of net.d/profiles/web.yaml\n"
    )
    changed(net, "  - default\n", "  - {action: Deny, protocol: UDP, source: {nets: [192.0.2.0/24]}}\n  - default\n")
    done = run("diff", "before", "net.d", cwd=net.parent)
    assert (done.returncode, done.stdout) == (0, f"{BOTH}same packets allowed, though the rules differ\n")
    changed(net, "  - default\n", "  - {action: Log}\n  - default\n")
    assert "logging differs: ingress of web (net.d/profiles/web.yaml:5)\n" in (
        run("diff", "before", "net.d", cwd=net.parent).stdout
    )


def test_diff_of_networks_that_come_go_and_move(net):
    copy_of(net, "before")
    (net / "front.conf").write_text(CONF % ("front", "10.9.0.0/24"))
    (net / "new.conf").write_text(CONF % ("new", "10.3.0.0/24"))
    done = run("diff", "before", "net.d", "--format", "json", cwd=net.parent)
    found = json.loads(done.stdout)
    assert found["networks_added"] == ["new"]
    assert found["addresses_changed"] == ["front"]
    whole = [c for c in found["changes"] if c["change"] == "allowed" and c["flow"] == {}]
    assert [(c["from"], c["to"]) for c in whole] == [
        (["front"], ["front"]),
        (["new"], ["new"]),
        (["front", "new"], ["outside"]),
    ]
    back = json.loads(run("diff", "net.d", "before", "--format", "json", cwd=net.parent).stdout)
    assert back["networks_removed"] == ["new"]


def test_what_is_left_to_the_host_is_told_from_what_is_accepted(net):
    changed(net, "ingress:", "endpoint_to_host: return\ningress:")
    copy_of(net, "before")
    said = run("explain", "web", "host", "tcp/80", "-C", "net.d", cwd=net.parent).stdout
    assert "LEFT TO THE HOST" in said
    assert said.endswith("  endpoint_to_host of web: left to the host\n")
    done = run("explain", "web", "host", "tcp/80", "-C", "net.d", "--format", "json", cwd=net.parent)
    told = json.loads(done.stdout)["cases"]
    assert told[0]["stages"][-1]["rule"] == "left to the host"
    changed(net, "endpoint_to_host: return", "endpoint_to_host: accept")
    done = run("diff", "before", "net.d", cwd=net.parent)
    assert (done.returncode, done.stdout.splitlines()[2:4]) == (1, ["newly allowed:", "  web -> host: everything"])
    assert run("diff", "net.d", "before", "--fail-on", "any", cwd=net.parent).returncode == 1


def test_explain_says_who_decides_at_both_ends(net):
    done = run("explain", "front", "web", "tcp/443", "-C", "net.d", cwd=net.parent)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == "front -> web: DENIED"
    assert "  egress of front: same-network.yaml:6 Allow everything" in done.stdout
    assert "  ingress of web: no rule allows it" in done.stdout
    done = run("explain", "198.51.100.7", "web", "-C", "net.d", "--format", "json", cwd=net.parent)
    found = json.loads(done.stdout)["cases"]
    assert {c["verdict"] for c in found} == {"Allow", "Deny"}
    assert run("explain", "host", "web", "-C", "net.d", cwd=net.parent).stdout.splitlines()[1] == "host -> web: ALLOWED"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("explain", "wbe", "web"), "nobody here is called 'wbe'\n  = did you mean web?"),
        (("explain", "web", "outside", "tpc/80"), "in 'tpc/80': there is no protocol 'tpc'"),
        (("explain", "web", "outside", "tcp/0"), "a port must be a number from 1 to 65535"),
        (("explain", "web", "outside", "gre/80"), "there is no protocol 'gre'"),
        (("explain", "web", "outside", "47/80"), "'47/80' is no kind of packet"),
        (("explain", "outside", "host"), "no packet goes from outside to host"),
        (("explain", "10.0.0.1/8", "web"), "nobody here is called '10.0.0.1/8'"),
        (("diff", "nowhere"), "git: no git repository is here"),
        (("diff", "a-folder", "none"), "git: no git repository is here"),
        (("test", "-C", "none"), "the folder can't be read: No such file or directory"),
        (("test", "--only", "nothing"), "no test or guardrail is called 'nothing'"),
        (("check", "--ignore", "CR999"), "no finding has the code 'CR999'"),
        (("check", "--select", "804"), "no finding has the code '804'"),
        (("matrix", "--format", "png"), "invalid choice: 'png'"),
        (("matrix", "-o", "none/x.svg"), "calico-rkt matrix: "),
        (("diff",), "the following arguments are required: OLD"),
    ],
)
def test_wrong_input_ends_with_words(net, args, words):
    (net / "a-folder").mkdir()
    (net / "a-folder" / "a.conf").write_text(CONF % ("a", "10.8.0.0/24"))
    done = run(*args, cwd=net)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_error_of_one_file_stops_every_answer(net):
    (net / "profiles" / "front.yaml").write_text("network: front\ningress: null\n")
    for command in (("test", "-C", "net.d"), ("matrix", "-C", "net.d"), ("explain", "web", "front", "-C", "net.d")):
        done = run(*command, cwd=net.parent)
        assert done.returncode == 2
        assert "CR303" in done.stderr
        assert done.stdout == ""
    done = run("check", "-C", "net.d", "--format", "sarif", cwd=net.parent)
    assert done.returncode == 2
    assert json.loads(done.stdout)["runs"][0]["results"][0]["ruleId"] == "CR303"
    unread = run("check", "-C", "none", "--format", "json", cwd=net.parent)
    assert (unread.returncode, unread.stderr) == (2, "")
    assert json.loads(unread.stdout)["problems"][0]["code"] == "CR701"


def test_matrix_in_every_format(net):
    text = run("matrix", "-C", "net.d", cwd=net.parent).stdout
    assert "outside -> web: TCP port 443 from 198.51.100.0/24\n" in text
    rows = run("matrix", "-C", "net.d", "--format", "csv", cwd=net.parent).stdout.splitlines()
    assert "outside,web,some,TCP port 443 from 198.51.100.0/24,net.d/profiles/web.yaml:3" in rows
    assert (
        "| TCP port 443 from 198.51.100.0/24 |"
        in run("matrix", "-C", "net.d", "--format", "markdown", cwd=net.parent).stdout
    )
    cells = json.loads(run("matrix", "-C", "net.d", "--format", "json", cwd=net.parent).stdout)["cells"]
    assert {c["reach"] for c in cells} == {"all", "some", "none"}
    done = run("matrix", "-C", "net.d", "--format", "svg", "-o", "who.svg", cwd=net.parent)
    assert (done.returncode, done.stdout) == (0, "")
    assert "<title>outside -&gt; web: TCP port 443" in (net.parent / "who.svg").read_text()


def test_output_to_a_full_disk_or_a_closed_pipe(net):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        command = [sys.executable, "-m", "calico_rkt", "matrix", "-C", "net.d"]
        done = subprocess.run(command, cwd=net.parent, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "calico-rkt matrix: the output can't be written: No space left on device\n"
    shell = f"{sys.executable} -m calico_rkt matrix -C net.d >&-; echo $?"
    closed = subprocess.run(["sh", "-c", shell], cwd=net.parent, capture_output=True, text=True, check=False)
    assert (closed.stdout, closed.stderr) == ("2\n", "calico-rkt matrix: stdout is closed\n")


@pytest.fixture
def long_work(tmp_path):
    """A workspace whose matrix takes some seconds."""
    (tmp_path / "profiles").mkdir()
    for n in range(150):
        (tmp_path / f"net{n}.conf").write_text(CONF % (f"net{n}", f"10.{n}.0.0/16"))
        rules = "".join(f"  - {{action: Allow, source: {{nets: [10.{m}.0.0/17]}}}}\n" for m in range(150))
        (tmp_path / "profiles" / f"net{n}.yaml").write_text(f"network: net{n}\ningress:\n{rules}")
    return tmp_path


def test_long_work_is_told_on_a_terminal_and_ends_on_ctrl_c(long_work):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "calico_rkt", "matrix", "-C", ".", "--format", "svg", "-o", "who.svg"]
    process = subprocess.Popen(command, cwd=long_work, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    said = b""
    while b" of " not in said:
        said += os.read(ours, 1000)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    said += os.read(ours, 1000)
    assert process.stdout.read() == b""
    process.stdout.close()
    os.close(ours)
    assert said.startswith(b"\r\x1b[K")
    assert re.search(rb"\w+ -> \w+", said), "the pair that is worked on"
    assert said.endswith(b"\r\x1b[K")
    assert not [p.name for p in long_work.iterdir() if "svg" in p.name]


def test_nothing_is_told_where_nobody_watches(long_work):
    for n in range(20, 150):
        (long_work / f"net{n}.conf").unlink()
    done = run("matrix", "-C", ".", cwd=long_work)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", ["80", "47", "6", "8080", "080", "0", "99999"])
def test_a_bare_number_is_asked_back_with_answers_that_are_taken(net, number):
    done = run("explain", "front", "web", number, "-C", "net.d", cwd=net.parent)
    assert done.returncode == 2
    assert f"{number} could be a port or a protocol" in done.stderr
    offered = re.findall(r"(?:tcp|udp|protocol)/\d+", done.stderr)
    assert len(offered) >= 2
    for packet in offered:
        assert run("explain", "front", "web", packet, "-C", "net.d", cwd=net.parent).returncode == 0


def test_a_protocol_by_its_number_says_so(net):
    said = run("explain", "front", "web", "protocol/47", "-C", "net.d", cwd=net.parent)
    assert said.returncode == 0
    assert "protocol 47" in said.stdout


@pytest.mark.parametrize("packet", ["icmp/9", "icmp/10", "icmp/30", "icmp/0", "icmpv6/137", "icmpv6/138", "icmpv6/141"])
def test_what_opens_no_flow_is_never_called_allowed(net, packet):
    done = run("explain", "front", "web", packet, "-C", "net.d", cwd=net.parent)
    assert done.returncode == 2
    assert "CR841 error: " + packet + " opens no flow" in done.stderr


def test_two_folders_of_revisions_in_one_word_are_told_apart(net):
    done = run("diff", "HEAD:a..HEAD:b", cwd=net.parent)
    assert (done.returncode, "CR740" in done.stderr, "`diff HEAD:a HEAD:b`" in done.stderr) == (2, True, True), done
    assert "CR740" not in run("diff", "HEAD:../a:b", cwd=net.parent).stderr


def test_a_network_with_the_name_of_an_address_is_refused_where_addresses_are_spoken_of(net):
    text = (net / "web.conf").read_text()
    (net / "other.conf").write_text(text.replace('"web"', '"10.9.0.1"').replace("10.9", "10.99"))
    done = run("explain", "10.9.0.1", "front", cwd=net)
    assert (done.returncode, "CR840" in done.stderr) == (2, True), done


def test_compile_explains_felixs_setting_as_the_reviews_do(net):
    conf = json.loads((net / "web.conf").read_text())
    conf |= {"datastore_type": "etcdv3", "etcd_endpoints": "http://127.0.0.1:9"}
    (net / "web.conf").write_text(json.dumps(conf))
    said = run("compile", "web.conf", "--explain", cwd=net).stdout
    assert "endpoint_to_host: Felix's own setting" in said
    assert "drop" not in said


@pytest.mark.parametrize("kind", [0, 3, 9, 30])
def test_icmp_that_opens_no_flow_is_allowed_in_no_answer(net, tmp_path, kind):
    old = tmp_path / "old"
    shutil.copytree(net, old)
    rule = "network: web\ningress:\n  - {action: Allow, protocol: ICMP, icmp: {type: %d}}\n"
    (net / "profiles" / "web.yaml").write_text(rule % kind)
    (old / "profiles" / "web.yaml").write_text("network: web\ningress: []\n")
    for command in (("matrix", "-C", "."), ("explain", "front", "web"), ("explain", "front", "web", "icmp")):
        said = run(*command, cwd=net).stdout
        assert f"ICMP type {kind}" not in said
        assert "front -> web: ALLOWED" not in said
    done = run("diff", str(old), ".", cwd=net)
    assert (done.returncode, "same packets allowed" in done.stdout) == (0, True), done
    (net / "profiles" / "web.yaml").write_text(rule % 8)
    assert "newly allowed" in run("diff", str(old), ".", cwd=net).stdout
