"""What etcd answers in, its gateway's JSON and what stands under Calico's keys; the doors of a cluster's store out."""

from __future__ import annotations

import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.etcd3 import http_line, keys
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.http_line import BrokenAnswerError, Line
from calico_rkt.plugin.store.etcd3.store import Etcd3Store
from tests.properties.inputs.damage import ROOT
from tests.properties.inputs.door import Door
from tests.properties.inputs.json_damage import changed, damaged_once, torn
from tests.properties.inputs.stores import folder, opened, questions

_NET = ip_network("10.1.0.0/16")
_IPAM = Ipam("host-local", ((Range(_NET, _NET[1], _NET[-2]),),))
_OLD = Endpoint(Key("net1", "cont-a1", "eth0"), "NONCE", "/n", 4, 7, "crk1", "02:00:00:00:00:02", (_NET[45952],))


def _named(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": {"name": name}, "spec": spec}


def _stored() -> dict[str, Any]:
    """One attachment as a cluster has it, and what a cluster has besides."""
    text = (ROOT / "tests" / "golden" / "etcd3" / "plain.dump").read_text()
    lines = text.replace("NUMBER", "17").replace("TIME", "2026-11-24T00:12:28Z").splitlines()
    return {
        **{key: json.loads(value) for key, value in zip(lines[::2], lines[1::2], strict=True)},
        keys.READY: _named("ClusterInformation", "default", datastoreReady=True, calicoVersion="v3.30.2"),
        keys.node("node1"): _named("Node", "node1"),
        keys.IPAM_CONFIG: {"strict_affinity": False, "auto_allocate_blocks": True, "max_blocks_per_host": 20},
        f"{keys.FELIX}default": _named("FelixConfiguration", "default", nftablesMode="Disabled"),
        f"{keys.RESERVATIONS}one": _named("IPReservation", "one", reservedCIDRs=["10.1.0.0/30"]),
    }


_STORED = _stored()


def _kv(key: str, value: Any) -> dict[str, Any]:
    data = value if isinstance(value, str) else json.dumps(value)
    encoded = b64encode(data.encode("utf-8", "surrogatepass")).decode()
    return {"key": b64encode(key.encode()).decode(), "value": encoded, "mod_revision": "7", "version": "1"}


class _Etcd:
    """A member for one call: it has what it is told to have, and its answers are damaged where that is drawn."""

    def __init__(self, stored: Mapping[str, Any], damage: Callable[[dict[str, Any]], tuple[int, bytes]]) -> None:
        self.stored, self.damage = stored, damage

    def post(self, _path: str, body: bytes, _headers: Mapping[str, str], _seconds: float) -> tuple[int, bytes]:
        asked = json.loads(body)
        ranges = [op["request_range"] for op in asked.get("success", ()) if "request_range" in op]
        header = {"cluster_id": "1", "member_id": "1", "revision": "9", "raft_term": "2"}
        responses = [{"response_range": {"header": header, **self._found(r)}} for r in ranges]
        return self.damage({"header": header, "succeeded": True, "responses": responses})

    def _found(self, asked: Mapping[str, str]) -> dict[str, Any]:
        first = b64decode(asked["key"]).decode()
        last = b64decode(asked.get("range_end", "")).decode() or first + "\0"
        kvs = [_kv(key, value) for key, value in sorted(self.stored.items()) if first <= key < last]
        return {"kvs": kvs, "count": str(len(kvs))} if kvs else {}

    def is_over(self) -> bool:
        return False

    def close(self) -> None:
        pass


_ASKED: dict[str, Callable[[Etcd3Store], object]] = {
    **questions(_IPAM, _OLD),
    "felix": lambda store: store.felix(),
    "suspects": lambda store: store.suspects(),
    "pools": lambda store: store.inventory().pools(),
    "documents": lambda store: store.inventory().endpoints(),
    "profiles": lambda store: store.profiles.published("net1"),
}


def _enter(told: tuple[str, Mapping[str, Any], Callable[[dict[str, Any]], tuple[int, bytes]]]) -> None:
    what, stored, damage = told
    etcd = patch.object(Gateway, "_connected", lambda *_: _Etcd(stored, damage))
    with opened(Etcd3Store) as store, etcd:
        _ASKED[what](store)


_WORDS = {"error": "etcdserver: requested lease not found", "code": 5, "message": "no"}


@st.composite
def _told(draw: st.DrawFn) -> tuple[str, Mapping[str, Any], Callable[[dict[str, Any]], tuple[int, bytes]]]:
    what = draw(st.sampled_from(sorted(_ASKED)))
    if draw(st.sampled_from([True, False])):
        return what, _STORED, draw(_damages())
    key = draw(st.sampled_from(sorted(_STORED)))
    value = draw(
        changed([_STORED[key]])
        | torn(st.just(json.dumps(_STORED[key]).encode())).map(lambda b: b.decode(errors="replace"))
    )
    return what, {**_STORED, key: value}, lambda answer: (200, json.dumps(answer).encode())


@st.composite
def _damages(draw: st.DrawFn) -> Callable[[dict[str, Any]], tuple[int, bytes]]:
    status = draw(st.sampled_from([200, 200, 200, 200, 400, 404, 500]))
    manner = draw(st.sampled_from(["changed", "changed", "cut", "words"]))
    chance = Random(draw(st.integers(0, 1 << 32)))

    def damage(answer: dict[str, Any]) -> tuple[int, bytes]:
        found = damaged_once(chance.choice, dict(_WORDS) if manner == "words" else answer)
        data = json.dumps(found).encode()
        return status, data[: chance.randrange(len(data))] if manner == "cut" else data

    return damage


ETCD = Door(
    "etcd's answers",
    "the gateway's JSON and Calico's stored values, to every question of a store",
    _told(),
    _enter,
    share=100,
    setting=folder,
)

_HEADS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{}\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nConnection: close\r\n\r\n{}",
]
_PIECES = [
    b"HTTP/1.1 ",
    b"200",
    b" ",
    b"\r\n",
    b"\n",
    b"Content-Length: ",
    b"-1",
    b"4",
    b"99999999999",
    b"\xb2",
    b"Transfer-Encoding: chunked",
    b":",
    b"\r\n\r\n",
    b"2\r\n{}\r\n",
    b"0x2",
    b"{}",
]


def _read(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with patch.object(http_line, "_connected", lambda *_: ours), patch.object(socket.socket, "setsockopt"):
            line = Line("http://etcd:2379", 1.0)
        try:
            line.post("/v3/kv/txn", b"{}", {}, 1.0)
        except (BrokenAnswerError, OSError):
            pass
        finally:
            line.close()


HTTP = Door(
    "etcd's HTTP",
    "bytes of an answer",
    torn(st.sampled_from(_HEADS)) | st.lists(st.sampled_from(_PIECES), max_size=9).map(b"".join),
    _read,
    share=60,
)
