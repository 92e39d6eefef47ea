"""A thousand networks of five endpoints: what a restore and a comparison take of time and memory."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

_SCRIPT = """
import json, sys, time
from ipaddress import ip_address
from pathlib import Path
from calico_rkt.compiler.conf.netconf import Ipam
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.plugin.enforce import local as policy
from calico_rkt.plugin.enforce.compiled import compile_published
from calico_rkt.plugin.enforce.differences import kernel_differences
from calico_rkt.plugin.store.local import LocalStore, _verify
from calico_rkt.plugin.model import Endpoint, Key

folder = Path(sys.argv[1])
store = LocalStore(folder / "run", folder / "lib", _verify)
(folder / "none").mkdir()
(folder / "lib" / "profiles").mkdir(parents=True)
for i in range(1000):
    ipam = {"type": "host-local", "subnet": f"10.{i >> 8}.{i & 255}.0/24"}
    given = {"name": f"net{i}", "type": "calico", "profiles_dir": str(folder / "none"), "ipam": ipam}
    conf, _ = parse_conf(json.dumps({"cniVersion": "1.0.0", **given}).encode(), "net.conf", preview=False)
    made = compile_published(conf)
    (folder / "lib" / "profiles" / f"{made.network_id}.yaml").write_text(made.text)
    for j in range(5):
        n = i * 5 + j + 1
        key = Key(f"net{i}", f"c{j}", "eth0")
        address = ip_address(f"10.{i >> 8}.{i & 255}.{j + 2}")
        store.add(Endpoint(key, f"{n:016x}", "/n", 1, n, f"crk{n:012x}", "02:00:00:00:00:01", (address,), False, ""),
                  Ipam(type="delegated"), ())

def peak():
    # What getrusage says begins with what the process was that forked this one.
    line = next(x for x in open("/proc/self/status") if x.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024

def cost(act):
    began = time.process_time()
    answer = act()
    return answer, time.process_time() - began

done, restored = cost(lambda: policy.restore_policy(store))
differs, compared = cost(lambda: kernel_differences(store))
print(json.dumps({"endpoints": done.endpoints, "closed": list(done.closed), "differs": differs, "restored": restored,
                  "compared": compared, "MB": peak()}))
"""


def test_a_thousand_networks_are_restored_and_compared_in_seconds_and_little_memory(lab, tmp_path):
    tmp_path.chmod(0o700)
    found = json.loads(
        lab.run(lab.host, [sys.executable, "-c", _SCRIPT, str(tmp_path)], check=True, timeout=300).stdout
    )
    assert (found["endpoints"], found["closed"], found["differs"]) == (5000, [], [])
    assert found["restored"] < 5, found
    assert found["compared"] < 5, found
    assert found["MB"] < 200, found
