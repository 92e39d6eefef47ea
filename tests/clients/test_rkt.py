"""rkt's way of calling a plugin: what it sends, what it reads, and what it never does again."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.lab import Lab
from tests.clients.support.rkt import Active, PodError, Rkt

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = b"""{
    "name": "web",
    "type": "calico",
    "ipam": {
        "type": "host-local",
        "subnet": "10.1.0.0/16"
    }
}
"""
BACK = WEB.replace(b"web", b"back").replace(b"10.1.", b"10.2.")


@pytest.fixture
def rkt(lab: Lab) -> Rkt:
    return Rkt(lab)


def test_the_result_is_what_rkt_reads_and_nothing_else_is_printed(lab: Lab, rkt: Rkt) -> None:
    pod = rkt.pod()
    active = Active(rkt.net("10-web.conf", WEB), "calico", "", "eth0")
    reply = rkt.call("ADD", pod, active, f"/var/run/netns/{pod.netns}").succeeded()
    result = json.loads(reply.stdout)
    assert result["cniVersion"] == "0.1.0"
    assert set(result) <= {"cniVersion", "ip4", "ip6", "dns"}
    address, slash, length = result["ip4"]["ip"].partition("/")
    assert (slash, length) == ("/", "32")
    assert address in lab.out("ip", "-4", "address", "show", "eth0", inside=pod.netns)


def test_windows_line_ends_reach_the_plugin_and_are_fine(lab: Lab, rkt: Rkt) -> None:
    pod = rkt.pod()
    (web,) = rkt.setup(pod, rkt.net("10-web.conf", WEB.replace(b"\n", b"\r\n")))
    assert web.ip.startswith("10.1.")
    rkt.collect(pod)
    assert (pod.failures, lab.left()) == ([], {})


def test_one_pod_in_two_networks_has_two_interfaces(lab: Lab, rkt: Rkt) -> None:
    pod = rkt.pod()
    web, back = rkt.setup(pod, rkt.net("10-web.conf", WEB), rkt.net("20-back.conf", BACK))
    for interface, active in (("eth0", web), ("eth1", back)):
        assert active.ip in lab.out("ip", "-4", "address", "show", interface, inside=pod.netns)
    assert web.ip.startswith("10.1.")
    assert back.ip.startswith("10.2.")
    assert len([name for name in lab.links() if name.startswith("crk")]) == 2
    rkt.collect(pod)
    assert (pod.failures, lab.left()) == ([], {})


def test_pods_whose_uuids_begin_alike_stay_apart(lab: Lab, rkt: Rkt) -> None:
    conf = rkt.net("10-web.conf", WEB)
    first = rkt.pod("6a0bf4c1-7d11-4d5e-8a2b-000000000001")
    second = rkt.pod("6a0bf4c1-7d22-4d5e-8a2b-000000000002")
    assert first.uuid[:11] == second.uuid[:11]
    (one,) = rkt.setup(first, conf)
    (two,) = rkt.setup(second, conf)
    assert one.ip != two.ip
    rkt.collect(first)
    done = lab.run("/bin/busybox", "ping", "-c", "1", "-W", "5", two.ip)
    assert done.returncode == 0, "the second pod went with the first"
    rkt.collect(second)
    assert lab.left() == {}


def test_del_with_an_empty_netns_leaves_nothing(lab: Lab, rkt: Rkt) -> None:
    pod = rkt.pod()
    rkt.setup(pod, rkt.net("10-web.conf", WEB), rkt.net("20-back.conf", BACK))
    rkt.collect(pod, netns_gone=True)
    assert (pod.failures, lab.left()) == ([], {})


def test_an_exhausted_pool_leaves_nothing_though_no_del_follows(lab: Lab, rkt: Rkt) -> None:
    small = json.loads(WEB)
    small["ipam"] |= {"rangeStart": "10.1.0.7", "rangeEnd": "10.1.0.7"}
    conf = rkt.net("10-web.conf", json.dumps(small).encode())
    first, second = rkt.pod(), rkt.pod()
    (kept,) = rkt.setup(first, conf)
    before = lab.left()
    with pytest.raises(PodError) as failure:
        rkt.setup(second, conf)
    failure.value.reply.refused(101)
    assert lab.left() == before
    assert lab.links(inside=second.netns) == {"lo"}
    assert kept.ip == "10.1.0.7"
    rkt.collect(first)
    assert lab.left() == {}


def test_a_taken_address_leaves_nothing_though_no_del_follows(lab: Lab, rkt: Rkt) -> None:
    conf = rkt.net("10-web.conf", WEB)
    first, second = rkt.pod(), rkt.pod()
    (kept,) = rkt.setup(first, conf, args="IP=10.1.0.9;FOO=bar")
    assert kept.ip == "10.1.0.9"
    before = lab.left()
    with pytest.raises(PodError) as failure:
        rkt.setup(second, conf, args="IP=10.1.0.9;FOO=bar")
    failure.value.reply.refused(102)
    assert lab.left() == before
    assert lab.links(inside=second.netns) == {"lo"}


def test_a_failure_in_the_second_network_takes_the_first_down(lab: Lab, rkt: Rkt) -> None:
    pod = rkt.pod()
    broken = json.loads(BACK)
    broken["ipam"]["subnet"] = "10.2.0.0/99"
    with pytest.raises(PodError) as failure:
        rkt.setup(pod, rkt.net("10-web.conf", WEB), rkt.net("20-back.conf", json.dumps(broken).encode()))
    assert "10.2.0.0/99" in failure.value.msg
    assert (pod.failures, lab.left()) == ([], {})
    assert lab.links(inside=pod.netns) == {"lo"}


def delegated(network: str) -> bytes:
    """A conf whose ipam is not host-local by name only, so that it is delegated along CNI_PATH."""
    return json.dumps(
        {"name": network, "type": "calico", "ipam": {"type": "static-pool", "subnet": "10.3.0.0/24"}}
    ).encode()


def test_a_relative_plugin_folder_serves_delegated_ipam_at_add_and_del(lab: Lab, rkt: Rkt) -> None:
    """`host-local` itself is served by calico; the same plugin under another name is one that is delegated to."""
    pod = rkt.pod()
    stage1 = lab.path(pod.folder, "stage1/rootfs/usr/lib/rkt/plugins/net")
    (stage1 / "static-pool").symlink_to("host-local")
    (active,) = rkt.setup(pod, rkt.net("30-far.conf", delegated("far")))
    assert active.ip.startswith("10.3.0.")
    assert "host-local" in lab.left()
    rkt.collect(pod)
    assert (pod.failures, lab.left()) == ([], {})


def test_a_trailing_comma_is_refused_in_cni_s_words(lab: Lab, rkt: Rkt) -> None:
    """rkt refuses such a file itself; a runtime that hands it over gets a proper error with the place."""
    pod = rkt.pod()
    broken = rkt.net("10-web.conf", WEB.replace(b'10.1.0.0/16"', b'10.1.0.0/16",'))
    reply = rkt.call("ADD", pod, Active(broken, "calico", "", "eth0"), f"/var/run/netns/{pod.netns}")
    error = reply.refused(6, 7)
    assert "comma" in error["msg"] + error.get("details", "")
    assert lab.left() == {}
