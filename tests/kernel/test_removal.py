"""Claims about removals of links that many threads ask for at once."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.kernel

PRELUDE = """
import json, threading
from concurrent.futures import ThreadPoolExecutor
from socket import if_nametoindex
import subprocess
from calico_rkt.plugin.link import removal

def there(name):
    try:
        return if_nametoindex(name)
    except OSError:
        return 0

def remove(index):
    try:
        removal.remove(index)
    except OSError as e:
        return e.errno
    return 0

def links(count):
    lines = "".join(f"link add r{i} type veth peer name s{i}\\n" for i in range(count))
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
    return [if_nametoindex(f"r{i}") for i in range(count)]
"""


def run(lab, code):
    return json.loads(lab.python(lab.host, PRELUDE + code))


def test_every_caller_s_link_is_out_when_its_call_returns(lab):
    left = run(
        lab,
        "names = {index: f'r{i}' for i, index in enumerate(links(40))}\n"
        "with ThreadPoolExecutor(20) as pool:\n"
        "    print(json.dumps(list(pool.map(lambda i: (remove(i), there(names[i])), names))))",
    )
    assert left == [[0, 0]] * 40
    assert "r0" not in lab.run(lab.host, ["ip", "link"], check=True).stdout


def test_a_link_that_is_gone_already_is_removed(lab):
    assert run(lab, "(i,) = links(1); print([remove(i), remove(i), remove(4711)])") == [0, 0, 0]


def test_what_the_kernel_refuses_fails_for_who_asked_and_for_nobody_else(lab):
    codes = run(
        lab,
        "wanted = [*links(10), 1] * 2\n"
        "with ThreadPoolExecutor(len(wanted)) as pool: print(json.dumps(list(pool.map(remove, wanted))))",
    )
    assert codes == ([0] * 10 + [95]) * 2  # EOPNOTSUPP: 1 is the loopback
    assert "r0" not in lab.run(lab.host, ["ip", "link"], check=True).stdout


def test_a_removal_that_breaks_off_for_any_reason_is_no_success(lab):
    """The thread that asks the kernel is where nobody looks: whatever it raises, its caller hears of it."""
    codes = run(
        lab,
        "removal.remove_together = lambda host, indexes: {}[0]\n"
        "(i,) = links(1); print(json.dumps([remove(i) != 0, there('r0') != 0]))",
    )
    assert codes == [True, True]
