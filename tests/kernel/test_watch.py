"""The listener for lost tables: a real kernel's news, of which our own calls are none."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.kernel

_SCRIPT = """
import json, subprocess, threading, time
from ipaddress import ip_address
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.targets.nftables.write import write_nftables
from calico_rkt.plugin.agent import watch
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.nft.base import base_script
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, to_host_script
from calico_rkt.compiler.ir.model import ToHost

libnftables.run_nft(base_script())
network = Network("a", "a")
libnftables.run_nft(write_nftables(network) + to_host_script("a", ToHost.DROP))
heard = []
watch.watch(lambda: heard.append(1))

def news(act, comes=False):
    heard.clear()
    act()
    least = time.monotonic() + 0.5
    while time.monotonic() < (least + 60 if comes and not heard else least):
        time.sleep(0.01)
    return len(heard)

def calls():
    for n in range(20):
        endpoint = EndpointElements(f"crk{n:012x}", (ip_address("10.66.0.1") + n,), "a")
        table.add_endpoint(endpoint)
        table.remove_endpoint(endpoint)

def nft(*words):
    return lambda: subprocess.run(["nft", *words], check=True)

found = {"calls": news(calls), "others": news(nft("add", "table", "ip", "theirs"))}
one = EndpointElements("crk000000000001", (ip_address("10.66.0.1"),), "a")
table.add_endpoint(one)
found["flush set"] = news(nft("flush", "set", "inet", "calico_rkt", "source4"), comes=True)
found["flush table"] = news(nft("flush", "table", "inet", "calico_rkt"), comes=True)
found["flush chain"] = news(nft("flush", "chain", "inet", "calico_rkt", "in-a"))
table.build_table((), {}, ())
found["delete table"] = news(nft("delete", "table", "inet", "calico_rkt"), comes=True)
table.build_table((), {}, ())
found["flush ruleset"] = news(nft("flush", "ruleset"), comes=True)
print(json.dumps(found))
"""


def test_a_flush_is_heard_and_our_own_calls_are_not(lab):
    found = json.loads(lab.python(lab.host, _SCRIPT))
    assert found.pop("calls") == 0
    assert found.pop("others") <= 2
    heard = {what for what, count in found.items() if count}
    assert heard >= {"flush set", "flush table", "delete table", "flush ruleset"}, found


_LOST = """
import json, os, socket, subprocess, time
from calico_rkt.plugin.agent import watch
from calico_rkt.plugin.enforce.nft import table

watch._PAUSE = 0.05
real = watch._opened
opened = []
def kept():
    opened.append(real())
    return opened[-1]
watch._opened = kept
heard = []
watch.watch(lambda: heard.append(1))
other = os.open("/dev/null", os.O_RDONLY)
os.dup2(other, opened[0].fileno())  # whatever makes the kernel's socket useless: the next call finds no socket there
for _ in range(100):
    table.build_table((), {}, ())  # a reader that waits already goes on with the old one until something is heard
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    if len(opened) > 1:
        break
    time.sleep(0.02)
time.sleep(0.3)
heard.clear()
table.build_table((), {}, ())
until = time.monotonic() + 60
while not heard and time.monotonic() < until:
    time.sleep(0.01)
print(json.dumps([len(opened), len(heard)]))
"""


def test_a_watch_whose_socket_is_lost_opens_another_and_goes_on(lab):
    opened, heard = json.loads(lab.python(lab.host, _LOST))
    assert opened > 1
    assert heard
