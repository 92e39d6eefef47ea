"""A call's environment and conf in; what reads them before anything is done, as a door, out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from calico_rkt.plugin.calls.call import run_call
from calico_rkt.plugin.cni.request import COMMANDS, Request
from calico_rkt.plugin.store.access import access_of, node_name
from tests.properties.inputs.damage import CONFS, damaged
from tests.properties.inputs.door import Door, one_answer
from tests.properties.inputs.json_damage import changed, encoded

_IPAM = {
    "type": "host-local",
    "ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.99", "gateway": "10.1.0.1"}]],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400}],
    "exclude": ["10.1.0.50"],
    "guard": True,
}
_WHOLE: dict[str, Any] = {
    "cniVersion": "1.1.0",
    "name": "web",
    "type": "calico",
    "ipam": _IPAM,
    "ipMasq": True,
    "mtu": 1400,
    "log_level": "info",
    "nodename": "node1",
    "dns": {"nameservers": ["192.0.2.53"], "search": ["a.example"], "options": ["ndots:2"]},
    "args": {"cni": {"ips": ["10.1.0.9"], "mac": "02:00:00:00:00:01"}},
    "runtimeConfig": {
        "ips": ["10.1.0.9/24"],
        "mac": "02:00:00:00:00:01",
        "dns": {"servers": ["192.0.2.53"]},
        "portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "tcp"}],
        "ipRanges": [[{"subnet": "10.1.0.0/24"}]],
    },
}
_RESULT = {
    "cniVersion": "1.1.0",
    "interfaces": [{"name": "crk0", "mac": "02:00:00:00:00:01"}, {"name": "eth0", "sandbox": "/run/netns/c1"}],
    "ips": [{"address": "10.1.0.9/32", "interface": 1}],
    "routes": [{"dst": "0.0.0.0/0"}],
}
_KEPT = [{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c2", "ifname": "eth1"}]
_CONFS = [
    _WHOLE,
    {**_WHOLE, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}, "prevResult": _RESULT},
    {**_WHOLE, "cni.dev/valid-attachments": _KEPT},
    {
        **_WHOLE,
        "datastore_type": "etcdv3",
        "etcd_endpoints": "https://[fd00::1]:2379,http://e:2379",
        "etcd_username": "a",
    },
    {**_WHOLE, "datastore_type": "etcdv2", "etcd_authority": "127.0.0.1:2379"},
]
_GOOD = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/run/netns/c1",
    "CNI_IFNAME": "eth0",
    "CNI_PATH": "/opt/cni/bin",
    "CNI_ARGS": "IgnoreUnknown=1;IP=10.1.0.9;MAC=02:00:00:00:00:01",
    "ETCD_ENDPOINTS": "http://127.0.0.1:2379",
    "ETCD_AUTHORITY": "127.0.0.1:2379",
    "CALICO_NODENAME": "node1",
    "HOSTNAME": "node1",
}
_ODD = [
    "",
    " ",
    "x",
    "/",
    ".",
    "..",
    "a;b=c;=",
    "IP=",
    "IP=::",
    "=",
    "\n",
    "\udcff",
    "é",
    "{{7*7}}",
    "%d",
    "a" * 300,
    "http://",
    "[",
    "1",
]
_words = st.sampled_from([*_ODD, *_GOOD.values(), *COMMANDS]) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)
_changes = st.dictionaries(st.sampled_from([*_GOOD]), st.none() | _words, max_size=3)
_commands = st.sampled_from(COMMANDS)


def _environ(command: str, changes: dict[str, str | None]) -> dict[str, str]:
    taken = {k: v for k, v in _GOOD.items() if not k.startswith("ETCD")}
    return {k: v for k, v in {**taken, "CNI_COMMAND": command, **changes}.items() if v is not None}


def _enter(call: tuple[dict[str, str], bytes]) -> None:
    environ, stdin = call
    said: list[str] = []

    def act(request: Request, say: Any) -> None:
        if request.conf.datastore_type != "local":
            access_of(request.conf, environ)
            node_name(request.conf, environ)
        say("{}\n")

    status = run_call(environ, stdin, lambda _, line: said.append(line), act=act)
    (line,) = said
    assert line.endswith("\n"), line
    assert line.count("\n") == 1, line
    one_answer(status, line)


CALLS = Door(
    "a CNI call",
    "environment and conf of a runtime's call, all verbs",
    st.tuples(
        st.builds(_environ, _commands, _changes),
        encoded(changed(_CONFS)) | encoded(changed(_CONFS)) | damaged(CONFS) | st.just(json.dumps(_WHOLE).encode()),
    ),
    _enter,
    share=230,
)
