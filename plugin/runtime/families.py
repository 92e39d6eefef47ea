"""A chain, and what it gave, in; the IP versions that its container has addresses of, out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_interface
from typing import Any

from calico_rkt.compiler.conf.chain import Chain
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.conf.shape import TYPE
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.plugin.cni.ports import FAMILIES


def families_of(chain: Chain, result: Mapping[str, Any] | None = None) -> frozenset[int]:
    """Those of the result's addresses, else of the conf's ranges; both where neither tells."""
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        if result is not None and result["ips"]:
            return frozenset(ip_interface(ip["address"]).version for ip in result["ips"])
    for plugin in chain.plugins:
        if plugin["type"] == TYPE:
            whole = {"name": chain.name, "cniVersion": chain.cni_version, **plugin}
            with suppress(CompileError):
                conf, _ = parse_conf(json.dumps(whole).encode())
                return frozenset(r.subnet.version for ranges in conf.ipam.ranges for r in ranges) or FAMILIES
    return FAMILIES
