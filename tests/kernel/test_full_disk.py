"""A disk that is full: the local datastore on a small file system, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.kernel

CODE = """
import json, sys
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.model import Endpoint, Key

root = Path(sys.argv[1])
store = LocalStore(root, root / "lib", lambda text: None)
subnet = ip_network("10.1.0.0/16")
of = Ipam("host-local", ((Range(subnet, subnet[1], subnet[-2]),),))
held, found = [], None
while found is None and len(held) < 5000:
    new = Endpoint(Key("web", f"c{len(held)}" * 40, "eth0"), "aa", "/n", 4, 7, "crk0", "02", ())
    try:
        held.append(store.add(new, of, ()))
    except CniError as e:
        found = [e.code, e.msg]
same = set(store.endpoints()) == set(held)
store.close()
with suppress(OSError), open(root / "others", "wb", buffering=0) as others:
    while others.write(b"x" * 4096):
        pass
freed = [store.remove(e.key, "aa") for e in held]
left = len(store.endpoints())
store.close()
(root / "others").unlink()
again = str(store.add(held[0], Ipam("dhcp"), ()).addresses[0])
print(json.dumps([found, len(held), same, all(freed), left, again]))
"""


def test_a_full_disk_is_a_clear_error_loses_nothing_and_still_lets_addresses_go(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mounted = f'mount -t tmpfs -o size=200k,mode=700 none {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    done = subprocess.run(["unshare", "-m", "sh", "-c", mounted, CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    error, held, same, freed, left, again = json.loads(done.stdout)
    assert error[0] == 5
    assert "No space left" in error[1]
    assert held > 10
    assert (same, freed, left) == (True, True, 0), "all of them, with not one byte left on the disk"
    assert again == "10.1.0.1"
