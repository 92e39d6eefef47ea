"""`calico-rkt doctor` on a host of a Calico cluster: nothing where all is well, and what keeps networks from it."""

from __future__ import annotations

import re
import sys

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.etcd import Etcd, cluster_conf
from tests.clients.support.lab import Lab, listed, until
from tests.clients.support.whole_host import doctor, findings, make_whole

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

CONF = "/etc/cni/net.d/net1.conflist"
# etcd behind a line on which it is an hour earlier.
_EARLIER = r"""
import re, socket, threading
from email.utils import formatdate
from time import time

def serve(line):
    with socket.create_connection(("127.0.0.1", 2379)) as to:
        to.sendall(line.recv(65536).replace(b"Connection: keep-alive", b"Connection: close"))
        said = b""
        while b"\r\n\r\n" not in said or len(said.partition(b"\r\n\r\n")[2]) < length(said):
            said += to.recv(65536)
        line.sendall(re.sub(rb"Date: [^\r]*", b"Date: " + formatdate(time() - 3600, usegmt=True).encode(), said))
    line.close()

def length(said):
    found = re.search(rb"(?i)content-length: (\d+)", said)
    return int(found[1]) if found else 0

with socket.create_server(("127.0.0.1", 2399)) as listener:
    open("/run/earlier", "w").close()
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],)).start()
"""


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
def test_a_cluster_that_is_well_and_what_is_wrong_with_one(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    make_whole(lab, lab.path("/opt/cni/bin/calico"))
    known = cluster_conf(etcd)
    lab.write(CONF, listed(known))
    cni.add(known, "a", lab.netns("a"))
    assert findings(lab) == []
    assert "etcd at http://127.0.0.1:2379 has this host's time" in doctor(lab, "-v")[1]

    lab.write(CONF, listed({**known, "require_felix": True}))
    assert [f["code"] for f in findings(lab)] == ["CR973"]

    lab.start(sys.executable, "-c", _EARLIER)
    until(lambda: lab.path("/run/earlier").exists(), "the earlier etcd listens")
    lab.write(CONF, listed({**known, "etcd_endpoints": "http://127.0.0.1:2379,http://127.0.0.1:2399"}))
    (found,) = findings(lab)
    assert found["code"] == "CR972"
    assert re.search(r"\b(3599|360[01]) s ahead of", found["message"]), "a Date has whole seconds"

    lab.write(CONF, listed(known))
    etcd.stop()
    (found,) = findings(lab)
    assert (found["code"], found["path"]) == ("CR970", CONF)
    assert found["cure"] == "curl -sS http://127.0.0.1:2379/health"
