"""What an attachment stores, whole: beside what stock Calico stores, and for names that Calico does not take.

tests/golden/etcd3/stock.dump is what the stock CNI plugin stored for one ADD on an empty cluster, and calicoctl for
the pool. The other files are ours, each one attachment: a key in one line, its value in the next; words in capitals
stand for what is new each time. On a mismatch the new text is written as NAME.actual: read the difference, then
move it over NAME.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from calico_rkt import __version__
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import ENDPOINTS, IPAM, RESOURCES, Etcd, cluster_conf, left_in
from tests.clients.support.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

GOLDEN = Path(__file__).parents[1] / "golden" / "etcd3"
VARIES = ("uid", "creationTimestamp", "mac", "interfaceName", "ipNetworks")
"""What of stock's example is another thing each time."""
CASES = {
    "plain": ("net1", "cont-a1", "eth0"),
    "two-dashes": ("net-1", "c--1", "eth0-1"),
    "upper-case": ("Web", "UPPER", "Eth0"),
    "underscore": ("my_net", "under_score", "eth_0"),
    "dot": ("my.net", "a.b", "eth0.100"),
    "trailing-dash": ("net-", "dash-", "eth-"),
    "long": ("n" * 70, "0123456789abcdef" * 4, "interface-of-15"),
    "ends-like-a-hash": ("net-0123abcd", "c-0123abcd", "e-0123abcd"),
    "reserved": ("kns.default", "kns.c", "ksa.e"),
}
"""Network, container and interface of each."""


def stock() -> dict[str, Any]:
    lines = (GOLDEN / "stock.dump").read_text(encoding="utf-8").splitlines()
    return {key: json.loads(value) for key, value in zip(lines[::2], lines[1::2], strict=True)}


def plain(value: Any, *more: str) -> Any:
    """A resource without what differs from one time to the next, and without our own annotations."""
    if isinstance(value, dict):
        return {
            k: plain(v, *more)
            for k, v in value.items()
            if k not in (*VARIES, *more)
            and not (k == "annotations" and all(a.startswith("calico-rkt.org/") for a in v))
        }
    return value


def test_what_is_stored_is_what_stock_calico_stores(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    theirs = stock()
    result = cni.add(cluster_conf(etcd), "cont-a1", lab.netns("a"))
    dump = etcd.dump(RESOURCES)
    (stock_pool,) = (k for k in theirs if "/ippools/" in k)
    (pool,) = (k for k in dump if "/ippools/" in k)
    assert {k for k in dump if "/nodes/" not in k} - {pool} == set(theirs) - {stock_pool}
    assert plain(dump[pool], "name") == plain(theirs[stock_pool], "name")
    for key in (f"{RESOURCES}profiles/net1", f"{ENDPOINTS}node1-cni-cont--a1-eth0"):
        assert plain(dump[key]) == plain(theirs[key])
        assert list(plain(dump[key])) == list(plain(theirs[key])), "their keys stand in Calico's order"
    for made in (dump[pool], *(dump[k] for k in theirs if "/profiles/" in k or k.startswith(ENDPOINTS))):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["metadata"]["uid"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["metadata"]["creationTimestamp"])
    spec = dump[f"{ENDPOINTS}node1-cni-cont--a1-eth0"]["spec"]
    host, inside = result["interfaces"]
    assert spec["ipNetworks"] == [f"{a}/32" for a in addresses(result)]
    assert (spec["interfaceName"], spec["mac"]) == (host["name"], inside["mac"])
    assert re.fullmatch(r"cali[0-9a-f]{11}", host["name"])


def test_every_name_is_stored_as_its_golden_file_says(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    wrong = []
    empty = etcd.dump()
    for case, (network, container, ifname) in CASES.items():
        conf, netns = cluster_conf(etcd, network), lab.netns(case)
        cni.add(conf, container, netns, ifname)
        found = {k: v for k, v in etcd.dump().items() if k not in empty}
        text = "".join(f"{key}\n{line}\n" for key, line in sorted((k, settled(k, v)) for k, v in found.items()))
        golden = GOLDEN / f"{case}.dump"
        if not golden.exists() or golden.read_text(encoding="utf-8") != text:
            (GOLDEN / f"{case}.dump.actual").write_text(text, encoding="utf-8")
            wrong.append(case)
        assert_taken_by_calico(found)
        cni.delete(conf, container, netns, ifname)
        assert left_in(etcd) == {}
        for prefix in (f"{RESOURCES}profiles/", f"{RESOURCES}ippools/", IPAM):
            etcd.ctl("del", "--prefix", prefix)
    assert wrong == [], f"see {GOLDEN}/*.actual"


def assert_taken_by_calico(found: dict[str, Any]) -> None:
    """What libcalico-go's validator asks of names: DNS-1123, and an endpoint's made of its own parts."""
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    for key, value in found.items():
        if not key.startswith(RESOURCES):
            continue
        name = key.rpartition("/")[2]
        assert name == value["metadata"]["name"]
        assert re.fullmatch(rf"{label}(\.{label})*", name), name
        assert len(name) <= 253
        if key.startswith(ENDPOINTS):
            spec = value["spec"]
            parts = (spec["node"], spec["orchestrator"], spec["containerID"], spec["endpoint"])
            assert name == "-".join(p.replace("-", "--") for p in parts)
            assert all(re.fullmatch(label, p) and len(p) <= 63 for p in parts)


def settled(key: str, value: Any) -> str:
    """The value as compact JSON, with words for what is new each time."""
    text = json.dumps(value, separators=(",", ":"))
    for pattern, word in (
        (r'"uid":"[^"]+"', '"uid":"UID"'),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.0-9]* \+0000 UTC", "TIME"),
        (r'"mac":"[^"]+"', '"mac":"MAC"'),
        (r'"interfaceName":"cali[0-9a-f]{11}"', '"interfaceName":"caliHASH"'),
        (r'(calico-rkt.org/attachment)":"[0-9a-f]{16}"', r'\1":"NONCE"'),
        (r'(calico-rkt.org/netns-id)":"[^"]+"', r'\1":"BOOT DEVICE INODE"'),
        (rf'(calico-rkt.org/compiler)":"{re.escape(__version__)}"', r'\1":"VERSION"'),
    ):
        text = re.sub(pattern, word, text)
    if "/assignment/" in key:
        text = re.sub(r'("sequenceNumber"):\d+', r"\1:NUMBER", text)
        text = re.sub(r'("sequenceNumberForAllocation":\{"\d+"):\d+', r"\1:NUMBER", text)
    return text
