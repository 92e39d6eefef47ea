"""Claims about one send of many messages: what the kernel answers to each, and in which order."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.kernel

PRELUDE = """
import json
from calico_rkt.plugin.link import messages, netlink, sends, state

def veth(name):
    with open("/proc/thread-self/ns/net") as own:
        alias = b"calico-rkt aa eth0 web c1"
        socket.do(sends.pair(name, name + "p", own.fileno(), "02:11:22:33:44:55", 1500, alias, 0))
    return state.interface(socket, name)

def said(answers):
    return [a.errno if isinstance(a, OSError) else a and a.hex() for a in answers]

socket = netlink.Socket()
crk1 = veth("crk1")
gone = messages.down(99_999)
"""
ENODEV = 19


def run(lab, code):
    return json.loads(lab.python(lab.host, PRELUDE + code))


def test_the_change_that_is_refused_is_told_and_the_others_were_done(lab):
    code = """
answers = socket.batch(messages.down(crk1.index) + gone + messages.renaming(crk1.index, "crk2"))
print(json.dumps([said(answers), answers[1].index, state.interface(socket, "crk2").index == crk1.index]))
"""
    assert run(lab, code) == [[None, ENODEV, None], 1, True]


def test_a_last_change_that_is_refused_ends_the_answers_and_the_socket_goes_on(lab):
    code = """
print(json.dumps([said(socket.batch(messages.down(crk1.index) + gone)), socket.batch(b""),
                  said(socket.batch(messages.down(crk1.index)))]))
"""
    assert run(lab, code) == [[None, ENODEV], [], [None]]


def test_questions_are_about_what_the_changes_before_them_left(lab):
    code = """
asked = [state.asked_interface("crk1"), state.asked_interface("crk9")]
done, (old, new) = socket.exchange(messages.renaming(crk1.index, "crk9") + gone, asked)
print(json.dumps([said(done), state.interface_in(old), state.ends_in(new) == (crk1.index, crk1.peer)]))
"""
    assert run(lab, code) == [[None, ENODEV], None, True]


def test_questions_alone_are_answered(lab):
    code = """
done, (only,) = socket.exchange(b"", [state.asked_interface("crk1")])
print(json.dumps([done, state.interface_in(only) == crk1]))
"""
    assert run(lab, code) == [[], True]


FORGET = """
import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from calico_rkt.plugin.link import conntrack
from tests.bench.flows import fill

fill(40_000)
status = Path("/proc/self/status")
peak = lambda: next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before, there = peak(), int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
nets = [ip_network("198.19.0.0/28"), ip_network("2001:db8:2::/124")]
conntrack.forget([], nets, [ip_address("198.19.0.4")])
left = int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
print(json.dumps([(peak() - before) // 1024, there, there - left]))
"""


def test_forgetting_a_few_flows_of_many_takes_no_memory_for_the_others(lab):
    tracking = (
        "add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ct state new"
    )
    lab.run(lab.host, ["nft", tracking], check=True)
    megabytes, there, gone = json.loads(lab.python(lab.host, FORGET))
    assert there == 40_000
    assert gone == 7 + 8, "every second one is IPv4: those to 198.19.0.0/28 but one, and those to 2001:db8:2::/124"
    assert megabytes < 3
