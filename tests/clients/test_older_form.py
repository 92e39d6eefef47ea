"""A profile of an earlier form, here and in a cluster: told, written anew without a question, attached to by all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench.workloads import hierarchical, override
from tests.clients.support.caller import Caller
from tests.clients.support.commands import states, status, tool
from tests.clients.support.etcd import RESOURCES, Etcd, cluster_conf, left_in, resource
from tests.clients.support.etcd2 import V1, OldEtcd, old_conf, old_left_in
from tests.clients.support.lab import PLUGINS, Lab, conf, pool
from tests.older_form import BY_HAND, LINES, PUBLISHED

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

FILE = "/var/lib/calico-rkt/profiles/web.yaml"
KEY = f"{RESOURCES}profiles/web"
LOCAL = conf("web", pool("10.61.0.0/24"))
ANEW = b"written anew in this build's form, with the same packets: web\n"


def with_files(lab: Lab, network: dict[str, Any]) -> None:
    lab.write("/etc/cni/net.d/web.conf", json.dumps(network))
    lab.override("web", LINES)


def stored(etcd: Etcd) -> dict[str, Any]:
    found: dict[str, Any] = etcd.dump()[KEY]
    return found


def form(text: str) -> str | None:
    found: str | None = yaml.safe_load(text)["metadata"]["annotations"].get("calico-rkt.org/form")
    return found


def note(old: OldEtcd) -> dict[str, str]:
    """What of ours stands beside the rules in a cluster of 2015."""
    found: dict[str, str] = old.values()[f"{V1}/policy/profile/web/rules"]["calico_rkt"]
    return found


def nobody_is_asked(lab: Lab) -> None:
    """What status says, what a dry run says, and that apply asks nobody: there is no terminal."""
    assert [(n["state"], n["why"].partition(";")[0]) for n in status(lab)["networks"]] == [
        ("older form", "same packets")
    ]
    shown = tool(lab, "status", "--no-agent")
    assert (shown.returncode, b"older form" in shown.stdout) == (0, True), shown
    done = tool(lab, "apply", "--dry-run")
    assert (done.returncode, b"in an older form, with the same packets: web" in done.stdout) == (1, True), done
    assert states(lab) == {"web": "older form"}
    done = tool(lab, "apply")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(ANEW), done
    assert states(lab) == {"web": "in step"}
    assert tool(lab, "apply").stdout.endswith(b"1 network, nothing to change\n")


def test_on_one_host(lab: Lab, cni: Caller) -> None:
    lab.write(FILE, PUBLISHED)
    with_files(lab, LOCAL)
    cni.add(LOCAL, "a", lab.netns("a"))
    assert lab.path(FILE).read_text() == PUBLISHED, "an ADD takes what is published as it is"
    nobody_is_asked(lab)
    assert form(lab.path(FILE).read_text()) == "2"
    assert status(lab)["networks"][0]["loaded"]
    assert tool(lab, "attest").returncode == 0, "the kernel has what the files say, line by line"
    cni.add(LOCAL, "b", lab.netns("b"))
    for name in ("a", "b"):
        cni.delete(LOCAL, name, f"/var/run/netns/{name}")
    assert lab.left() == {}


def test_in_a_cluster(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    made = yaml.safe_load(PUBLISHED)
    etcd.put(KEY, resource("Profile", "web", made["spec"], annotations={**made["metadata"]["annotations"], "own": "1"}))
    network = cluster_conf(etcd, "web", "10.61.0.0/24")
    with_files(lab, network)
    cni.add(network, "a", lab.netns("a"))
    assert stored(etcd)["spec"] == made["spec"]
    nobody_is_asked(lab)
    found = stored(etcd)
    assert (found["metadata"]["annotations"]["calico-rkt.org/form"], len(found["spec"]["ingress"])) == ("2", 4)
    assert found["metadata"]["annotations"]["own"] == "1"
    cni.add(network, "b", lab.netns("b"))
    for name in ("a", "b"):
        cni.delete(network, name, f"/var/run/netns/{name}")
    assert (lab.left(), left_in(etcd)) == ({}, {})


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
def test_in_a_cluster_of_2015(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    """Which has no Log, and an address a rule; the form is noted where the digest is."""
    network = old_conf(old, "web", "10.61.0.0/24")
    without_log = [text.replace(f"{text.splitlines()[2]}\n", "") for text in (BY_HAND, LINES)]
    with_files(lab, network)
    lab.override("web", without_log[0])
    assert tool(lab, "apply", "--yes").returncode == 0
    assert "form" not in note(old)
    lab.override("web", without_log[1])
    nobody_is_asked(lab)
    assert note(old)["form"] == "2"
    cni.add(network, "a", lab.netns("a"))
    cni.delete(network, "a", "/var/run/netns/a")
    assert (lab.left(), old_left_in(old)) == ({}, [])


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
def test_two_thousand_lines_are_applied_changed_and_proven(lab: Lab, cni: Caller) -> None:
    """Where Calico's limit refused them; a change of one line is shown as what it is, and not as a list anew."""
    lines = hierarchical(2000)
    lab.write("/etc/cni/net.d/web.conf", json.dumps(LOCAL))
    lab.override("web", override(lines, "web"))
    done = tool(lab, "apply", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, b"applied: web"), done
    cni.add(LOCAL, "a", lab.netns("a"))
    assert states(lab) == {"web": "in step"}
    assert tool(lab, "attest").returncode == 0
    opened = [replace(lines[0], action="Allow", net=IPv4Network("192.0.2.0/24")), *lines]
    lab.override("web", override(opened, "web"))
    assert states(lab) == {"web": "stale"}
    done = tool(lab, "apply", "--yes")
    assert b"192.0.2.0/24" in done.stdout.partition(b"newly allowed")[2], done
    assert b"newly denied" not in done.stdout
    assert tool(lab, "attest").returncode == 0
    cni.delete(LOCAL, "a", "/var/run/netns/a")


def test_what_is_asked_about_is_asked_about_beside_it(lab: Lab) -> None:
    lab.write(FILE, PUBLISHED)
    with_files(lab, LOCAL)
    lab.write("/etc/cni/net.d/back.conf", json.dumps(conf("back", pool("10.62.0.0/24"))))
    done = tool(lab, "apply")
    assert (done.returncode, ANEW in done.stdout, b"There is no terminal to ask on" in done.stderr) == (2, True, True)
    assert states(lab) == {"back": "not published", "web": "in step"}


def test_another_policy_in_an_older_form_is_stale_and_asked_about(lab: Lab) -> None:
    lab.write(FILE, PUBLISHED)
    with_files(lab, LOCAL)
    lab.override("web", LINES.replace("ports: [80]", "ports: [81]", 1))
    assert states(lab) == {"web": "stale"}
    done = tool(lab, "apply")
    assert (done.returncode, b"There is no terminal to ask on" in done.stderr) == (2, True), done
    assert lab.path(FILE).read_text() == PUBLISHED


@pytest.mark.slow
def test_the_build_of_before_attaches_to_both_forms(bare_lab: Lab, before: Path) -> None:
    shutil.copy(before, bare_lab.path(PLUGINS, "before"))
    bare_lab.path(PLUGINS, "before").chmod(0o755)
    older = Caller(bare_lab, f"{PLUGINS}/before")
    with_files(bare_lab, LOCAL)
    merged = tool(bare_lab, "compile", "/etc/cni/net.d/web.conf").stdout.decode()
    assert form(merged) == "2"
    for number, text in enumerate((PUBLISHED, merged)):
        bare_lab.write(FILE, text)
        for name in ("a", "b"):
            older.add(LOCAL, f"{name}{number}", bare_lab.netns(f"{name}{number}"))
        for name in ("a", "b"):
            older.delete(LOCAL, f"{name}{number}", f"/var/run/netns/{name}{number}")
    assert bare_lab.left() == {}


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["alone"], indirect=True)
def test_the_build_of_before_attaches_to_both_forms_in_a_cluster(lab: Lab, etcd: Etcd, before: Path) -> None:
    shutil.copy(before, lab.path(PLUGINS, "before"))
    lab.path(PLUGINS, "before").chmod(0o755)
    older = Caller(lab, f"{PLUGINS}/before")
    network = cluster_conf(etcd, "web", "10.61.0.0/24")
    with_files(lab, network)
    merged = tool(lab, "compile", "/etc/cni/net.d/web.conf").stdout.decode()
    for number, text in enumerate((PUBLISHED, merged)):
        made = yaml.safe_load(text)
        etcd.put(KEY, resource("Profile", "web", made["spec"], annotations=made["metadata"]["annotations"]))
        for name in ("a", "b"):
            older.add(network, f"{name}{number}", lab.netns(f"{name}{number}"))
        for name in ("a", "b"):
            older.delete(network, f"{name}{number}", f"/var/run/netns/{name}{number}")
        assert stored(etcd)["spec"] == made["spec"]
    assert form(merged) == "2"
    assert (lab.left(), left_in(etcd)) == ({}, {})
