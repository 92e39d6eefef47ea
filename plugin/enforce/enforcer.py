"""A Store in, whoever sees to the policy of its endpoints out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf
from calico_rkt.plugin.enforce import local
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Store


class Policy(Protocol):
    """What happens to an endpoint's policy: the module `policy` on one host, `cluster` where Felix enforces."""

    def guard(self, store: Any, /) -> AbstractContextManager[None]: ...  # noqa: ANN401 - the store it belongs to
    def check_host(self, store: Any, conf: NetConf) -> None: ...  # noqa: ANN401
    def add(
        self,
        store: Any,  # noqa: ANN401
        conf: NetConf,
        /,
        endpoint: Endpoint,
        ipam: Ipam,
        requested: Sequence[Address],
    ) -> Endpoint: ...
    def gateways(self, store: Any, /) -> Mapping[int, Address]: ...  # noqa: ANN401
    def settle(
        self,
        store: Any,  # noqa: ANN401
        conf: NetConf,
        endpoint: Endpoint,
        exposed: Collection[Address],
        /,
    ) -> tuple[Address, ...]: ...
    def release(self, kept_back: Collection[Address], /) -> None: ...
    def forget_flows(self, endpoint: Endpoint, /) -> None: ...
    def attach(self, store: Any, conf: NetConf, endpoint: Endpoint, /) -> None: ...  # noqa: ANN401
    def detach(self, endpoint: Endpoint, /) -> None: ...
    def check(self, store: Any, conf: NetConf, /, endpoint: Endpoint) -> list[str]: ...  # noqa: ANN401
    def usable(self, store: Any, conf: NetConf) -> None: ...  # noqa: ANN401


def policy_of(store: Store) -> Policy:
    """Who sees to policy where this store is."""
    if isinstance(store, LocalStore):
        return local
    from calico_rkt.plugin.enforce import felix

    return felix
