"""One answer to "what decides here": the plugin, what publishes and what reviews read the same files of a host."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS, PUBLISHED, Lab, conf, environment

WEB = conf("web", {"type": "host-local", "subnet": "10.1.0.0/24"})
FRONT = conf("front", {"type": "host-local", "subnet": "10.2.0.0/24"})
ALLOW = """network: web
ingress:
  - {action: Allow, protocol: TCP, source: {network: front}, destination: {ports: [80]}}
  - default
"""
ISOLATED = "network: web\ningress: []\negress: []\n"
NET_D, RKT_D, PROFILES = "/etc/cni/net.d", "/etc/rkt/net.d", "/etc/calico-rkt/profiles"
STOCK = {
    "name": "k8s-pod-network",
    "cniVersion": "0.3.1",
    "plugins": [
        {"type": "calico", "datastore_type": "kubernetes", "ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
PODMAN = {
    "cniVersion": "0.4.0",
    "name": "podman",
    "plugins": [{"type": "bridge", "bridge": "cni-podman0", "ipam": {"type": "host-local"}}, {"type": "portmap"}],
}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def shared(binary: Path) -> Iterator[Lab]:
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-deciding")
    yield made
    made.close()


@pytest.fixture
def host(shared: Lab) -> Lab:
    """A host with two networks, no override, and nothing published."""
    shared.out("sh", "-c", f"rm -rf {NET_D} {RKT_D} /etc/calico-rkt {PUBLISHED}; mkdir -p {NET_D} {RKT_D} {PROFILES}")
    shared.run("nft", "delete", "table", "inet", "calico_rkt")
    shared.write(f"{NET_D}/10-web.conf", json.dumps(WEB))
    shared.write(f"{NET_D}/20-front.conf", json.dumps(FRONT))
    return shared


def tool(lab: Lab, *argv: str, cwd: str = "/", **variables: str) -> subprocess.CompletedProcess[str]:
    done = lab.run(f"{PLUGINS}/calico", *argv, cwd=cwd, env={**environment(), **variables})
    assert b"Traceback" not in done.stdout + done.stderr, done
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def fate(lab: Lab, *options: str) -> str:
    """Whether `explain` says that front reaches web at port 80."""
    done = tool(lab, "explain", "front", "web", "tcp/80", "--format", "json", *options)
    assert done.returncode == 0, done
    return json.loads(done.stdout)["cases"][0]["verdict"]


def published(lab: Lab, network: str = "web") -> str:
    return lab.path(PUBLISHED, f"{network}.yaml").read_text()


@pytest.mark.parametrize("where", [(), ("-C", NET_D), ("-C", f"{NET_D}/.."), ("-C", "/tmp/linked")])
def test_a_review_of_the_host_reads_what_the_plugin_reads(host: Lab, where: tuple[str, ...]) -> None:
    host.out("ln", "-sfn", NET_D, "/tmp/linked")
    where = tuple(w.replace("net.d/..", "net.d/../net.d") for w in where)
    host.write(f"{PROFILES}/web.yaml", ALLOW)
    assert tool(host, "apply", "--yes").returncode == 0
    assert "ports" in published(host)
    assert fate(host, *where) == "Allow"
    said = tool(host, "explain", "front", "web", "tcp/80", *where).stdout.splitlines()[0]
    assert said.startswith("this host's confs: ")
    assert said.endswith(f"; overrides: {PROFILES}")


def test_profiles_beside_the_hosts_confs_that_nobody_uses_are_an_error_everywhere(host: Lab) -> None:
    host.write(f"{NET_D}/profiles/web.yaml", ALLOW)
    for command in (
        *(
            ("explain", "front", "web", "-C", NET_D),
            ("check", "-C", NET_D),
            ("test",),
            ("matrix", "-C", NET_D),
            ("diff", NET_D),
        ),
        *(("report", "-o", "-", "-C", NET_D), ("apply", "--yes"), ("status",), ("compile", f"{NET_D}/10-web.conf")),
    ):
        done = tool(host, *command)
        assert done.returncode == 2, done
        assert "CR709" in done.stdout + done.stderr, done
    assert not host.path(PUBLISHED, "web.yaml").exists()
    assert fate(host, "-C", NET_D, "--profiles", f"{NET_D}/profiles") == "Allow"
    host.out("sh", "-c", f"rm -r {NET_D}/profiles && ln -s {PROFILES} {NET_D}/profiles")
    assert fate(host, "-C", NET_D) == "Deny"
    assert tool(host, "status").returncode == 0


def test_profiles_is_heard_by_every_command_that_reads_policy(host: Lab) -> None:
    host.write("/srv/other/web.yaml", ALLOW)
    for command in (
        *(("explain", "front", "web"), ("check",), ("test",), ("matrix",), ("diff", NET_D), ("report", "-o", "/tmp/r")),
        *(("apply", "--dry-run"), ("status",), ("compile", f"{NET_D}/10-web.conf")),
    ):
        missing = tool(host, *command, "--profiles", "/srv/none")
        assert missing.returncode == 2, missing
        assert "/srv/none" in missing.stdout + missing.stderr
    assert fate(host, "--profiles", "/srv/other") == "Allow"
    assert "ports" in tool(host, "compile", f"{NET_D}/10-web.conf", "--profiles", "/srv/other").stdout


def test_each_network_is_read_by_its_own_confs_folder(host: Lab) -> None:
    host.write("/srv/team/web.yaml", ALLOW)
    host.write(f"{PROFILES}/web.yaml", ISOLATED)
    host.write(f"{PROFILES}/front.yaml", "network: front\nendpoint_to_host: accept\n")
    host.write(f"{NET_D}/10-web.conf", json.dumps({**WEB, "profiles_dir": "/srv/team"}))
    done = tool(host, "apply", "--yes")
    assert "ports" in published(host)
    assert "accept" in published(host, "front")
    assert done.returncode == 1  # the other web.yaml is used by none
    assert f"{PROFILES}/web.yaml" in done.stderr
    assert "CR706" in done.stderr
    assert fate(host) == "Allow"


@pytest.mark.parametrize("name", ["87-podman-bridge.conflist", "99-loopback.conf", "05-ptp.json"])
def test_other_plugins_confs_are_passed_over_unjudged(host: Lab, name: str) -> None:
    foreign = PODMAN if name.endswith("list") else {"cniVersion": "1.0.0", "name": "x", "type": "loopback", "mtu": "?"}
    host.write(f"{NET_D}/{name}", json.dumps(foreign))
    for command in (
        ("check", "-C", NET_D),
        ("matrix",),
        ("test",),
        ("status",),
        ("apply", "--yes"),
        ("gc",),
        ("export",),
    ):
        done = tool(host, *command)
        assert (done.returncode, done.stderr) == (0, ""), done


def test_a_json_file_is_a_conf_where_it_says_so_and_nothing_where_it_does_not(host: Lab) -> None:
    host.out("mv", f"{NET_D}/10-web.conf", f"{NET_D}/10-web.json")
    host.write(f"{NET_D}/package.json", '{"name": "web", "version": "1.0.0"}')
    host.write(f"{NET_D}/broken.json", "{")
    host.write(f"{PROFILES}/web.yaml", ALLOW)
    assert tool(host, "apply", "--yes").returncode == 0
    assert "ports" in published(host)
    assert fate(host) == "Allow"
    assert tool(host, "check").returncode == 0
    found = json.loads(tool(host, "status", "--format", "json").stdout)
    assert {n["network"]: n["state"] for n in found["networks"]} == {"web": "in step", "front": "in step"}
    readers = {c["network"]: c["read_by"] for c in found["confs"]}
    assert ("rkt" in readers["web"], "Nomad" in readers["web"], "rkt" in readers["front"]) == (False, True, True)


@pytest.mark.parametrize(
    ("name", "text", "network"),
    [
        ("30-bad.conflist", json.dumps(STOCK), "k8s-pod-network"),
        ("30-bad.conflist", json.dumps({**PODMAN, "plugins": [{"type": "bridge"}, WEB], "name": "late"}), "late"),
        ("30-bad.conf", '{"name": "late", "type": "calico", "ipam": {', "late"),
        ("30-bad.conf", "{bad", ""),
        ("zz.conf", None, ""),
    ],
)
def test_one_conf_that_can_not_be_used_is_named_and_stops_no_other(
    host: Lab, name: str, text: str | None, network: str
) -> None:
    if text is None:
        host.out("mkdir", f"{NET_D}/{name}")
    else:
        host.write(f"{NET_D}/{name}", text)
    host.write(f"{PROFILES}/web.yaml", ALLOW)
    assert tool(host, "apply", "--yes").returncode == 2
    assert "ports" in published(host)
    for command in (("status",), ("check",), ("test",), ("matrix",), ("diff", NET_D), ("report", "-o", "/tmp/r")):
        done = tool(host, *command)
        assert done.returncode == 2, done
        assert name in done.stdout + done.stderr, done
    for command in (("gc",), ("prune", "--yes"), ("export",), ("restore",)):
        assert tool(host, *command).returncode == 0, command
    explained = tool(host, "explain", "front", "web", "tcp/80")
    assert explained.returncode == 2
    assert "front -> web: ALLOWED" in explained.stdout
    assert f"undecided: {NET_D}/{name} can't be read" in explained.stdout
    if network:
        cells = json.loads(tool(host, "matrix", "--format", "json").stdout)["cells"]
        about = [c for c in cells if network in (c["from"], c["to"])]
        assert {c["undecided"] for c in about} == {f"{NET_D}/{name} can't be read"}
        assert len(about) >= 7
        asked = tool(host, "explain", network, "web")
        assert (asked.returncode, "CR723" in asked.stderr) == (2, True)


def test_what_nobody_uses_is_told_by_apply_status_and_check(host: Lab) -> None:
    for path in ("db.yaml", "team/web.yaml", "web.YAML"):
        host.write(f"{PROFILES}/{path}", ISOLATED.replace("web", "db") if path == "db.yaml" else ISOLATED)
    host.write(f"{NET_D}/web.yaml", ISOLATED)
    host.write(f"{NET_D}/docker-compose.yaml", "services: {}\n")
    for command in (("apply", "--yes"), ("status",), ("check",)):
        done = tool(host, *command)
        said = done.stdout + done.stderr
        assert done.returncode == 1, done
        for name in (f"{PROFILES}/db.yaml", f"{PROFILES}/team/web.yaml", f"{PROFILES}/web.YAML", f"{NET_D}/web.yaml"):
            assert name in said
        assert "docker-compose" not in said
        assert (said.count("CR706"), said.count("CR707")) == (1, 3)


@pytest.mark.parametrize(
    "make", ["true", "ln -s /mnt/late /srv/late", "mkdir /srv/x; ln -s /mnt/late /srv/late", "touch /srv/late"]
)
def test_a_folder_that_is_named_and_not_there_fails_closed(host: Lab, make: str) -> None:
    named = {**WEB, "profiles_dir": "/srv/unmounted/profiles" if "/srv/x" in make else "/srv/unmounted"}
    host.out("sh", "-c", f"rm -rf /srv/*; mkdir -p /srv; {make}")
    host.write(f"{NET_D}/10-web.conf", json.dumps(named))
    name = f"late{next(_numbers)}"
    answer = Caller(host)("ADD", named, name, host.netns(name), "eth0").refused(7)
    assert "/srv/unmounted" in answer["msg"]
    for command in (("apply", "--yes"), ("status",), ("check",), ("explain", "front", "web")):
        assert tool(host, *command).returncode == 2, command
    assert not host.path(PUBLISHED, "web.yaml").exists()


def test_the_usual_folder_may_be_absent_but_not_lead_nowhere(host: Lab) -> None:
    host.out("rm", "-r", "/etc/calico-rkt")
    assert tool(host, "apply", "--yes").returncode == 0
    assert f"{PROFILES} is not there" in tool(host, "check").stdout
    host.out("ln", "-s", "/mnt/late", "/etc/calico-rkt")
    host.out("rm", "-r", PUBLISHED)
    for command in (("apply", "--yes"), ("status",), ("check",)):
        assert tool(host, *command).returncode == 2, command
    assert not host.path(PUBLISHED, "web.yaml").exists()


def test_the_environment_says_where_etcd_is_for_every_command_of_the_host_alike(host: Lab) -> None:
    nowhere = {"ETCD_ENDPOINTS": "http://127.0.0.1:9"}
    for command in (("apply", "--yes"), ("status",), ("gc",)):
        done = tool(host, *command, **nowhere)
        assert done.returncode == 2, done
        assert "127.0.0.1:9" in done.stdout + done.stderr
    assert "Calico's own policies may decide before" in tool(host, "matrix", **nowhere).stdout
    host.write("/srv/repo/web.conf", json.dumps(WEB))
    assert "Calico's own" not in tool(host, "matrix", "-C", "/srv/repo", **nowhere).stdout


def test_without_arguments_it_is_the_current_folder_if_it_has_confs_and_else_the_host(host: Lab) -> None:
    host.write("/srv/repo/web.conf", json.dumps(WEB))
    host.write("/srv/repo/profiles/web.yaml", ISOLATED)
    host.write("/srv/bare/README", "nothing")
    assert tool(host, "check", cwd="/srv/repo").stdout.startswith("confs: .; overrides: profiles\n")
    assert tool(host, "check", cwd="/srv/bare").stdout.startswith("this host's confs: ")
    host.out("rm", "-r", NET_D, RKT_D)
    none = tool(host, "check", cwd="/srv/bare")
    assert (none.returncode, "CR806" in none.stderr) == (2, True)


def test_a_current_folder_with_a_conf_of_ours_is_never_passed_over_for_the_host(host: Lab) -> None:
    host.write("/srv/unmounted/web.conf", json.dumps(WEB))
    host.out("ln", "-sfn", "/mnt/late", "/srv/unmounted/profiles")
    for command in (("check",), ("matrix",), ("explain", "front", "web"), ("test",)):
        done = tool(host, *command, cwd="/srv/unmounted")
        assert (done.returncode, "leads nowhere" in done.stderr) == (2, True), done


def test_another_programs_conf_makes_the_current_folder_no_workspace(host: Lab) -> None:
    host.write("/srv/nginx/nginx.conf", "server {\n  listen 80;\n}\n")
    assert tool(host, "check", cwd="/srv/nginx").stdout.startswith("this host's confs: ")
    host.write("/srv/nginx/web.conf", '{"name": "web", "type": "calico", ')
    assert tool(host, "check", cwd="/srv/nginx").stdout.startswith("confs: .; ")
    assert "nginx.conf can't be read" in tool(host, "check", "-C", "/srv/nginx").stdout


def test_a_profiles_that_another_conf_beside_it_uses_is_no_error_of_compile_either(host: Lab) -> None:
    host.write(f"{NET_D}/profiles/web.yaml", ISOLATED)
    host.write(f"{NET_D}/10-web.conf", json.dumps({**WEB, "profiles_dir": f"{NET_D}/profiles"}))
    for command in (("compile", f"{NET_D}/20-front.conf"), ("check",)):
        assert "CR709" not in str(tool(host, *command))


def test_status_says_that_rkt_reads_a_folder_of_its_own(host: Lab) -> None:
    said = tool(host, "status").stdout
    assert f"2 *.conf, read by rkt (in {RKT_D}), containerd, nerdctl, CRI-O, Nomad; not by podman\n" in said


def test_status_does_not_say_that_nothing_is_here_while_etcd_is_away(host: Lab) -> None:
    said = tool(host, "status", ETCD_ENDPOINTS="http://127.0.0.1:9").stdout
    assert "no etcd member answers" in said
    assert "no network is published" not in said


def test_policy_in_a_linked_deep_or_misspelt_place_is_told(host: Lab) -> None:
    host.write("/srv/team/web.yaml", ISOLATED)
    host.out("ln", "-sfn", "/srv/team", f"{PROFILES}/team")
    for path in ("a/b/c/d/e/f/web.yaml", "sub/web.YML", "web", "web.ymal"):
        host.write(f"{PROFILES}/{path}", ISOLATED)
    host.write(f"{PROFILES}/README.md", f"An override:\n\n{ISOLATED}")
    for path in ("web.YAML", "profile/web.yaml"):
        host.write(f"{NET_D}/{path}", ISOLATED)
    for command in ("check", "status"):
        done = tool(host, command)
        assert (done.returncode, str(done).count("CR707")) == (1, 7), done


def test_a_folder_behind_the_link_of_an_override_that_is_read_is_not_told(host: Lab) -> None:
    host.write(f"{PROFILES}/7/web.yaml", ISOLATED)
    host.out("ln", "-sfn", "7", f"{PROFILES}/now")
    host.out("ln", "-sfn", "now/web.yaml", f"{PROFILES}/web.yaml")
    assert "CR707" not in str(tool(host, "check"))


def test_status_says_that_a_network_can_not_be_used_before_its_first_add_finds_out(host: Lab) -> None:
    host.write(f"{PROFILES}/web.yaml", "network: web\ningress: 7\n")
    found = json.loads(tool(host, "status", "--format", "json").stdout)["networks"]
    assert {n["network"]: n["state"] for n in found} == {"web": "unusable", "front": "not published"}


def test_two_names_of_one_folder_are_one(host: Lab) -> None:
    host.write(
        "/srv/real/web.yaml",
        ALLOW + "tests:\n  - {name: a, from: {network: front}, to: {network: web}, verdict: Deny}\n",
    )
    host.write("/srv/real/front.yaml", "network: front\n")
    host.out("ln", "-sfn", "/srv/real", "/srv/alias")
    host.write(f"{NET_D}/10-web.conf", json.dumps({**WEB, "profiles_dir": "/srv/real"}))
    host.write(f"{NET_D}/20-front.conf", json.dumps({**FRONT, "profiles_dir": "/srv/alias"}))
    done = tool(host, "apply", "--yes")
    assert (done.returncode, done.stdout.count("CR810")) == (1, 1), done
    assert "CR706" not in done.stderr


def test_a_disabled_or_hidden_file_is_told_where_people_would_think_it_counts(host: Lab) -> None:
    host.write(f"{PROFILES}/.web.yaml", ISOLATED)
    host.write(f"{NET_D}/30-db.CONF", json.dumps({**WEB, "name": "db"}))
    host.write(f"{PROFILES}/.#web.yaml", "")
    done = tool(host, "status")
    assert (done.returncode, done.stderr.count("CR707")) == (1, 2), done


def test_who_may_not_look_is_told_and_gets_no_answer_from_less(host: Lab) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{PLUGINS}/calico")
    host.out("chmod", "700", "/etc/calico-rkt")
    for command in (("check",), ("explain", "front", "web"), ("matrix",), ("compile", f"{NET_D}/10-web.conf")):
        done = host.run(*nobody, *command, env=environment())
        assert done.returncode == 2, done
        assert b"Permission denied" in done.stdout + done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("check", "-C", ""),
        ("check", "--profiles", ""),
        ("explain", "a", "b", "-C", ""),
        ("apply", "--confs", ""),
        ("status", "--profiles", ""),
        ("compile", f"{NET_D}/10-web.conf", "--profiles", ""),
    ],
)
def test_an_empty_word_such_as_an_unset_variable_names_no_folder(host: Lab, argv: tuple[str, ...]) -> None:
    done = tool(host, *argv)
    assert (done.returncode, "an empty path" in done.stderr) == (2, True), done


def test_json_says_which_folders_were_read_as_its_schema_has_it(host: Lab) -> None:
    host.write(f"{NET_D}/30-bad.conf", "{bad")
    host.write(f"{PROFILES}/db.yaml", ISOLATED.replace("web", "db"))
    validator = Draft202012Validator(answers())
    for command in (("status",), ("check",), ("test",), ("matrix",), ("explain", "front", "web"), ("diff", NET_D)):
        found = json.loads(tool(host, *command, "--format", "json").stdout)
        validator.validate(found)
        side = found["read"]["new"] if command[0] == "diff" else found["read"]
        assert (side["kind"], side["profiles"]) == ("host", [PROFILES]), found["read"]
        assert side["undecided"] == [{"path": f"{NET_D}/30-bad.conf", "network": None}]
