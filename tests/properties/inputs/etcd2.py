"""What etcd answers in by its v2 API, and what stands under Calico's keys of 2015; the doors of such a store out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import urllib3
from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store import members
from calico_rkt.plugin.store.etcd2 import keys
from calico_rkt.plugin.store.etcd2.store import Etcd2Store
from calico_rkt.plugin.store.etcd2.values import assignment_value, encode_value, endpoint_value, pool_value
from tests.properties.inputs.door import Door
from tests.properties.inputs.json_damage import ODD, damaged_once
from tests.properties.inputs.stores import folder, opened, questions

_NET = ip_network("10.1.0.0/28")
_IPAM = Ipam("host-local", ((Range(_NET, _NET[1], _NET[-2]),),))
_OLD = Endpoint(Key("net1", "cont-a1", "eth0"), "fedcba9876543210", "/n", 4, 7, "crk1", "02:00:00:00:00:02", (_NET[5],))
_ID = object_id("net1")
_ACCEPT_ALL = {"id": _ID, "inbound_rules": [{"action": "allow"}], "outbound_rules": [{"action": "allow"}]}
_STORED = {
    keys.READY: "true",
    keys.endpoint("node1", _OLD.key): endpoint_value(_OLD, {4: ip_address("192.0.2.1")}, "boot"),
    keys.tags(_ID): encode_value([_ID]),
    keys.rules(_ID): encode_value(_ACCEPT_ALL),
    keys.pool(_NET): pool_value(_NET, masquerade=True),
    keys.assignment(keys.dashed(_NET), _NET[5]): assignment_value(_OLD, "node1"),
    f"{keys.addresses_of('node1')}/ip_addr_v4": "192.0.2.1",
}


class _Etcd:
    """A member for one call: it answers by what it has, writes included; answers are damaged where that is drawn."""

    def __init__(self, stored: Mapping[str, str], seed: int, manner: str) -> None:
        self.stored, self.chance, self.manner, self.index = dict(stored), Random(seed), manner, 9

    def ask(self, method: str, url: str, fields: Mapping[str, str] | None) -> urllib3.HTTPResponse:
        key = unquote(urllib3.util.parse_url(url).path or "").removeprefix("/v2/keys")
        status, found = getattr(self, f"_{method.lower()}")(key, dict(fields or {}))
        headers = {"x-etcd-index": str(self.index), "x-raft-index": "3", "x-etcd-cluster-id": "1"}
        data = json.dumps(found).encode()
        if self.manner != "whole" and self.chance.random() < 0.4:
            status, headers, data = self._damaged(status, headers, found)
        return urllib3.HTTPResponse(BytesIO(data), headers, status, preload_content=False)

    def _damaged(
        self, status: int, headers: dict[str, str], found: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        choose = self.chance.choice
        if self.manner == "headers":
            headers[choose([*headers])] = choose(["", "x", "-1", "9" * 400, "\u0663", "2"])
        if self.manner == "status":
            status = choose([200, 201, 204, 301, 400, 401, 403, 404, 412, 500, 503])
        if self.manner == "changed":
            damaged_once(choose, found)
        data = json.dumps(copy.deepcopy(choose(ODD)) if self.manner == "other" else found).encode()
        return status, headers, data[: self.chance.randrange(len(data))] if self.manner == "cut" else data

    def _get(self, key: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if key not in self.stored and not self._below(key):
            return self._error(404, 100, "Key not found", key)
        return 200, {"action": "get", "node": self._node(key, deep=fields.get("recursive") == "true", top=True)}

    def _put(self, key: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if fields.get("prevExist") == "false" and key in self.stored:
            return self._error(412, 105, "Key already exists", key)
        if "prevValue" in fields and self.stored.get(key) != fields["prevValue"]:
            return self._error(412, 101, "Compare failed", key)
        self.index += 1
        self.stored[key] = fields.get("value", "")
        return 201, {"action": "create", "node": self._node(key)}

    def _delete(self, key: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if key not in self.stored:
            return self._error(404, 100, "Key not found", key)
        if fields.get("prevValue", self.stored[key]) != self.stored[key]:
            return self._error(412, 101, "Compare failed", key)
        node = self._node(key)
        del self.stored[key]
        return 200, {"action": "delete", "node": node, "prevNode": node}

    def _node(self, key: str, *, deep: bool = False, top: bool = False) -> dict[str, Any]:
        numbers = {"modifiedIndex": 7, "createdIndex": 5}
        if key in self.stored:
            return {"key": key, "value": self.stored[key], **numbers}
        inside = [self._node(k, deep=deep) for k in self._below(key)] if deep or top else []
        return {"key": key, "dir": True, **({"nodes": inside} if inside else {}), **numbers}

    def _below(self, key: str) -> list[str]:
        start = key.rstrip("/") + "/"
        return sorted({start + k.removeprefix(start).partition("/")[0] for k in self.stored if k.startswith(start)})

    def _error(self, status: int, code: int, message: str, cause: str) -> tuple[int, dict[str, Any]]:
        return status, {"errorCode": code, "message": message, "cause": cause, "index": self.index}


_ASKED: dict[str, Callable[[Etcd2Store], object]] = {
    **questions(_IPAM, _OLD),
    "gateways": lambda store: store.gateways(),
    "sweep": lambda store: store.sweep(),
    "profiles": lambda store: store.profiles.published(_ID),
    "stored": lambda store: store.profiles.stored(_ID),
    "ids": lambda store: store.profiles.published_ids(),
    "swap": lambda store: store.profiles.finish_swap(),
    "counts": lambda store: store.profiles.endpoint_counts(),
    "prune": lambda store: store.profiles.delete_unused(_ID, dry_run=False),
}


@contextmanager
def _setting() -> Iterator[None]:
    """Nobody waits for a member that is to be asked again: there is but one, and its answer stays the same."""
    with folder(), patch.object(members, "_PAUSE", 1e9):
        yield


def _enter(told: tuple[str, str, int]) -> None:
    what, manner, seed = told
    chance = Random(seed)
    stored = dict(_STORED)
    if manner == "values":
        key = chance.choice(sorted(stored))
        value = json.loads(stored[key]) if stored[key][0] in "{[" else stored[key]
        stored[key] = chance.choice(["", "{", json.dumps(damaged_once(chance.choice, value))])
    etcd = _Etcd(stored, seed, "whole" if manner == "values" else manner)

    def ask(_: Any, method: str, url: str, fields: Any = None, **__: Any) -> Any:
        return etcd.ask(method, url, fields)

    with opened(Etcd2Store) as store, patch.multiple(urllib3.PoolManager, request=ask, request_encode_body=ask):
        _ASKED[what](store)


ETCD2 = Door(
    "etcd v2's answers",
    "its API's JSON, status and headers, and what stands under Calico's keys of 2015, to every question of a store",
    st.tuples(
        st.sampled_from(sorted(_ASKED)),
        st.sampled_from(["changed", "changed", "changed", "other", "cut", "headers", "status", "values", "values"]),
        st.integers(0, 1 << 32),
    ),
    _enter,
    share=40,
    setting=_setting,
)
