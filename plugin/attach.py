"""A Request and a Store in, an attached or detached container out: ADD, DEL, CHECK, GC and STATUS as visible steps."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any, Protocol

from calico_rkt.compiler.conf import Address, Ipam, Net, NetConf
from calico_rkt.plugin import delegate, interrupt, link, policy, trace
from calico_rkt.plugin.locks import attachment_lock
from calico_rkt.plugin.log import LOG
from calico_rkt.plugin.request import Request
from calico_rkt.plugin.result import CniError, Code, Dns, Interface, Ip, Result, ResultRoute, from_json, gateways_in
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Endpoint, Key, Store

NO_IPAM = Ipam(type="delegated")


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
    def attach(self, store: Any, conf: NetConf, endpoint: Endpoint, /) -> None: ...  # noqa: ANN401
    def detach(self, endpoint: Endpoint, /) -> None: ...
    def check(self, store: Any, conf: NetConf, /, endpoint: Endpoint) -> list[str]: ...  # noqa: ANN401
    def usable(self, store: Any, conf: NetConf) -> None: ...  # noqa: ANN401


def policy_of(store: Store) -> Policy:
    """Who sees to policy where this store is."""
    if isinstance(store, LocalStore):
        return policy
    from calico_rkt.plugin import cluster

    return cluster


def key_of(request: Request) -> Key:
    return Key(request.conf.name, request.container, request.ifname)


def add(request: Request, store: Store, answer: Callable[[Result], None]) -> None:
    """Attach: address and record, link (down at the host's end), policy, up, answer; an error undoes all of it.

    rkt runs no DEL after a failed ADD, so whatever fails here leaves nothing behind.
    """
    key, conf = key_of(request), request.conf
    with link.open_netns(request.netns, request.netns_fd) as netns, ExitStack() as undo:
        known = store.endpoint(key)
        if known is not None:
            repeated = _repeated(known, netns, request)
            if repeated is not None:
                return answer(repeated)  # that nobody reads it is no reason to take the first one away
            _tear_down(known, store)  # an ADD that was killed half way: its record has no result
            if delegate.is_delegated(conf):
                delegate.delete(request)
        else:
            link.delete_unrecorded(key, store.link_prefix)
        rules = policy_of(store)
        rules.check_host(store, conf)
        addresses, routes, dns = _delegated(request, undo) if delegate.is_delegated(conf) else ((), (), Dns())
        interrupt.stop_if_asked()
        nonce = request.nonce or secrets.token_hex(8)
        endpoint = rules.add(
            store,
            conf,
            Endpoint(
                key=key,
                nonce=nonce,
                netns=str(Path(request.netns).absolute()),
                netns_dev=netns.dev,
                netns_inode=netns.inode,
                host_ifname=link.host_ifname(key, store.link_prefix),
                mac=request.mac or link.random_mac(),
                addresses=addresses,
                ip_masq=conf.ip_masq,
            ),
            NO_IPAM if addresses else conf.ipam,
            request.requested,
        )
        _on_error(undo, "take the attachment back", lambda: _tear_down(endpoint, store))
        trace.mark("address")
        interrupt.stop_if_asked()
        gateways = rules.gateways(store)
        made = link.create(
            netns,
            host_ifname=endpoint.host_ifname,
            ifname=key.ifname,
            addresses=endpoint.addresses,
            mtu=conf.mtu,
            key=key,
            nonce=nonce,
            routes=tuple(dict.fromkeys([*_routes(conf), *(ip_network(r.dst) for r in routes)])),
            mac=endpoint.mac,
            gateways=gateways,
        )
        trace.mark("link")
        interrupt.stop_if_asked()
        rules.attach(store, conf, endpoint)
        trace.mark("policy")
        interrupt.stop_if_asked()
        link.bring_up(made)
        trace.mark("up")
        result = Result(
            interfaces=(
                Interface(endpoint.host_ifname, made.host_mac, mtu=made.mtu),
                Interface(key.ifname, made.mac, request.netns, made.mtu),
            ),
            ips=tuple(Ip(f"{a}/{a.max_prefixlen}", 1, str(gateways.get(a.version, ""))) for a in endpoint.addresses),
            routes=tuple(ResultRoute(str(r.destination)) for r in conf.ipam.routes) or routes,
            dns=dns,
        )
        shown = result.to_json(conf.cni_version)
        store.finish(key, nonce, json.dumps(result.to_json("1.1.0")))
        trace.mark("record")
        answer(result)
        trace.mark("answer")
        undo.pop_all()
        LOG.info("ADD %s %s %s: %s", *_words(key), shown.get("ips") or shown)
        return None


def _repeated(known: Endpoint, netns: link.Netns, request: Request) -> Result | None:
    """The old result where record, netns and link all still match; None for an ADD that never finished."""
    if not known.result:
        return None
    if (known.netns_dev, known.netns_inode) != (netns.dev, netns.inode):
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{request.ifname} of this container is attached to network {request.conf.name!r} in another netns already",
            f"attached in {known.netns}; DEL it first",
        )
    problems = link.check(netns, known, _routes(request.conf), gateways_in(known.result))
    if problems:
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{request.ifname} of this container is attached to network {request.conf.name!r} already, but not whole",
            "; ".join(problems) + "; DEL it first",
        )
    return from_json(known.result)


def _routes(conf: NetConf) -> tuple[Net, ...]:
    """Where the interface leads beside the default: to its own network, which matters to a container in two."""
    own = [r.subnet for ranges in conf.ipam.ranges for r in ranges]
    return tuple(dict.fromkeys([*own, *(r.destination for r in conf.ipam.routes)]))


def _delegated(request: Request, undo: ExitStack) -> tuple[tuple[Address, ...], tuple[ResultRoute, ...], Dns]:
    given = delegate.add(request)
    _on_error(undo, "run the ipam plugin's DEL", lambda: delegate.delete(request))
    addresses = tuple(ip_interface(ip.address).ip for ip in given.ips)
    if not addresses:
        raise CniError(Code.DELEGATE, f"ipam plugin {request.conf.ipam.type!r} gave no address")
    return addresses, given.routes, given.dns


def delete(request: Request, store: Store) -> None:
    """Detach: link, policy, conntrack, record. Never-added, repeated, or a netns that is gone are all fine.

    Goes on past an error and raises the first at the end; the record stays then, so that GC finishes it.
    """
    key = key_of(request)
    known = store.endpoint(key)
    if known is not None and _is_stale(known, request.netns):
        LOG.warning("DEL %s %s %s: of an older netns %s, the newer attachment stays", *_words(key), request.netns)
        return
    if known is not None:
        _tear_down(known, store)
    else:
        link.delete_unrecorded(key, store.link_prefix)
        store.forget(key)
    if delegate.is_delegated(request.conf):
        delegate.delete(request)
    LOG.info("DEL %s %s %s%s", *_words(key), "" if known else ": was not attached")


def take_back(key: Key, nonce: str, store: Store) -> None:
    """Undo what an ADD with this nonce left when it ended half way; any other attachment of the key stays."""
    known = store.endpoint(key)
    if known is not None and known.nonce == nonce:
        _tear_down(known, store)
    elif known is None:
        link.delete(link.host_ifname(key, store.link_prefix), nonce)


def _is_stale(known: Endpoint, netns: str) -> bool:
    """Whether a DEL is about an older netns of the same container id while the recorded one still lives."""
    if not netns or os.path.realpath(netns) == os.path.realpath(known.netns):
        return False
    if _identity(netns) == (known.netns_dev, known.netns_inode):
        return False
    return _identity(known.netns) == (known.netns_dev, known.netns_inode)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _tear_down(endpoint: Endpoint, store: Store) -> None:
    """Every step of a DEL for a recorded endpoint; the record and its address go last, and only when all is gone."""
    failed: list[CniError] = []
    rules = policy_of(store)
    with rules.guard(store):
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("link", lambda: link.delete(endpoint.host_ifname, endpoint.nonce)),
            ("policy", lambda: rules.detach(endpoint)),
            ("flows", lambda: link.forget_flows(endpoint.addresses)),
        )
        for name, step in steps:
            try:
                step()
            except CniError as e:
                LOG.error("DEL %s %s %s: %s: %s", *_words(endpoint.key), e.msg, e.details)
                failed.append(e)
            trace.mark(name)
        if failed:
            raise failed[0]
        store.remove(endpoint.key, endpoint.nonce)
        trace.mark("record")


def _tear_down_if_gone(endpoint: Endpoint, store: Store) -> bool:
    """Tear down an endpoint whose netns is gone, unless somebody attached anew or detached meanwhile."""
    with attachment_lock(store.run_dir, endpoint.key):
        now = store.endpoint(endpoint.key)
        if now is None and netns_is_gone(endpoint):
            link.delete_unrecorded(endpoint.key, store.link_prefix)
            return store.forget(endpoint.key)
        if now is None or now.nonce != endpoint.nonce or not netns_is_gone(now):
            return False
        _tear_down(now, store)
        return True


def check(request: Request, store: Store) -> None:
    """CNI's CHECK: the record, both link ends, addresses, routes and policy are as ADD left them."""
    key = key_of(request)
    known = store.endpoint(key)
    if known is None or not known.result:
        raise CniError(Code.UNKNOWN_CONTAINER, f"{key.ifname} of this container is not attached to {key.network!r}")
    with link.open_netns(request.netns, request.netns_fd) as netns:
        if (known.netns_dev, known.netns_inode) != (netns.dev, netns.inode):
            raise CniError(Code.CHECK_FAILED, "the attachment is in another netns", known.netns)
        problems = [
            *link.check(netns, known, _routes(request.conf), gateways_in(known.result)),
            *policy_of(store).check(store, request.conf, known),
            *_differs(request.prev_result, known),
        ]
    if delegate.is_delegated(request.conf):
        delegate.check(request)
    if problems:
        raise CniError(Code.CHECK_FAILED, f"the attachment is not whole: {problems[0]}", "; ".join(problems))


def _differs(prev_result: str, known: Endpoint) -> list[str]:
    if not prev_result:
        return []
    previous = json.loads(prev_result)
    given = {str(ip.get("address", "")) for ip in previous.get("ips") or () if isinstance(ip, dict)}
    given |= {str(previous[k].get("ip", "")) for k in ("ip4", "ip6") if isinstance(previous.get(k), dict)}
    missing = {f"{a}/{a.max_prefixlen}" for a in known.addresses} - given
    return [f"prevResult lacks the address {a}" for a in sorted(missing)]


def gc(request: Request, store: Store) -> None:
    """Free what the runtime doesn't list, but only where the netns is gone too: other runtimes may share a network."""
    keep = set(request.attachments or ())
    failed: list[CniError] = []
    try:
        _ask_delegate(request, delegate.gc)
    except CniError as e:
        failed.append(e)
    for endpoint in store.endpoints(request.conf.name):
        if (endpoint.key.container, endpoint.key.ifname) in keep or not netns_is_gone(endpoint):
            continue
        try:
            if _tear_down_if_gone(endpoint, store):
                LOG.info("GC freed %s %s %s", *_words(endpoint.key))
        except CniError as e:
            failed.append(e)
    if failed:
        raise failed[0]


def collect(store: Store, *, dry_run: bool) -> tuple[tuple[Endpoint, ...], tuple[CniError, ...]]:
    """`calico-rkt gc`: every endpoint of any network whose netns is gone, torn down unless dry_run; and what failed."""
    gone = tuple(e for e in store.endpoints() if netns_is_gone(e))
    if dry_run:
        return gone, ()
    freed, failed = [], []
    for endpoint in gone:
        try:
            if _tear_down_if_gone(endpoint, store):
                freed.append(endpoint)
        except CniError as e:
            failed.append(e)
    return tuple(freed), tuple(failed)


def netns_is_gone(endpoint: Endpoint) -> bool:
    """Whether the path leads no more to the netns that the endpoint was attached in."""
    return _identity(endpoint.netns) != (endpoint.netns_dev, endpoint.netns_inode)


def status(request: Request, store: Store) -> None:
    """CNI's STATUS: nothing when an ADD can be served; CniError 50 else."""
    try:
        store.ranges()
        policy_of(store).usable(store, request.conf)
        _ask_delegate(request, delegate.status)
    except CniError as e:
        raise CniError(Code.NOT_AVAILABLE, f"an ADD can not be served: {e.msg}", e.details) from e


def _ask_delegate(request: Request, verb: Callable[[Request], None]) -> None:
    """Pass a verb of CNI 1.1.0 on; an ipam plugin older than the verb refuses it with code 4, which is fine."""
    if not delegate.is_delegated(request.conf):
        return
    try:
        verb(request)
    except CniError as e:
        if e.code != Code.INVALID_ENVIRONMENT:
            raise
        LOG.info("ipam plugin %s does not know %s", request.conf.ipam.type, request.command)


def _on_error(undo: ExitStack, what: str, act: Callable[[], object]) -> None:
    def step() -> None:
        try:
            act()
        except CniError as e:
            LOG.error("undo: could not %s: %s: %s", what, e.msg, e.details)

    undo.callback(step)


def _words(key: Key) -> tuple[str, str, str]:
    return key.network, key.container, key.ifname
