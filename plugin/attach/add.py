"""A Request and a Store in, an attached container out: ADD, CHECK and STATUS as visible steps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_interface, ip_network
from pathlib import Path

from calico_rkt.compiler.conf.netconf import NO_DNS, Address, Dns, Ipam, Net, NetConf
from calico_rkt.compiler.values import replace
from calico_rkt.plugin.attach import ipam_plugin
from calico_rkt.plugin.attach.delete import ask_delegate, key_of, tear_down, words
from calico_rkt.plugin.attach.life import Life, life_of, survey
from calico_rkt.plugin.attach.record import record_endpoint
from calico_rkt.plugin.attach.undo import Undo, undone
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.cni.result import (
    NEWEST,
    Given,
    Ip,
    Result,
    ResultInterface,
    ResultRoute,
    from_json,
    gateways_in,
    given_in,
    stored,
)
from calico_rkt.plugin.enforce.enforcer import Enforcer, enforcer_of
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.link.netns import by_descriptor
from calico_rkt.plugin.link.sockets import own_netns
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process import signals, trace
from calico_rkt.plugin.process.kept import kept
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Store

NO_IPAM = Ipam(type="delegated")


def cmd_add(request: Request, store: Store, answer: Callable[[Mapping[str, object]], None]) -> None:
    """Attach: address and record, link (down at the host's end), policy, up, answer; an error undoes all of it.

    answer is given the result in the shape of the conf's CNI version.

    rkt runs no DEL after a failed ADD, so whatever fails here leaves nothing behind.
    """
    key, conf = key_of(request), request.conf
    enforcer = enforcer_of(store)
    with pair.open_netns(request.netns, request.netns_fd) as netns, Undo() as undo:
        nonce, way = request.nonce or os.urandom(8).hex(), by_descriptor(netns.fd)
        draft = Endpoint(
            key=key,
            nonce=nonce,
            netns=_absolute(request.netns),
            netns_dev=netns.dev,
            netns_inode=netns.inode,
            host_ifname=pair.host_ifname(key, store.link_prefix),
            mac=request.mac or pair.random_mac(nonce),
            addresses=(),
            ip_masq=conf.ip_masq,
            home=own_netns(),
        )
        routes: tuple[ResultRoute, ...] = ()
        dns, said = NO_DNS, None
        _no_record_on_error(undo, store, key, nonce)
        endpoint = _plain(request, enforcer, draft)
        if endpoint is None:
            known = store.endpoint(key)
            if known is not None:
                repeated = _repeated(known, netns, request, enforcer)
                if repeated is not None:
                    # That nobody reads it is no reason to take the first one away.
                    return answer(repeated.to_json(conf.cni_version))
                _free_former(request, known, store, way)
            else:
                pair.delete_unrecorded(key, store.link_prefix)
            enforcer.check_host(conf)
            if ipam_plugin.is_delegated(conf):
                addresses, routes, dns, said = _delegated(request, store, netns, undo)
                draft = replace(draft, addresses=addresses)
            signals.stop_if_asked()
        gateways = enforcer.gateways()
        own = _routes(conf)
        leads_to = tuple(dict.fromkeys([*own, *(ip_network(r.dst) for r in routes)])) if routes else own
        endpoint, made = _linked(request, store, netns, draft, leads_to, gateways, endpoint)
        undo.note("take the attachment back", lambda: tear_down(endpoint, store, way))
        trace.mark("link")
        signals.stop_if_asked()
        kept_back = enforcer.settle(conf, endpoint, made.exposed)
        undo.note("take the addresses' guards away", lambda: enforcer.release(kept_back))
        enforcer.attach(conf, endpoint)
        trace.mark("policy")
        signals.stop_if_asked()
        pair.bring_up_pair(made)
        enforcer.release(kept_back)
        trace.mark("up")
        result = Result(
            interfaces=(
                ResultInterface(endpoint.host_ifname, made.host_mac, mtu=made.mtu),
                ResultInterface(key.ifname, made.mac, request.netns, made.mtu),
            ),
            ips=tuple(Ip(f"{a}/{a.max_prefixlen}", 1, str(gateways.get(a.version, ""))) for a in endpoint.addresses),
            routes=tuple(ResultRoute(str(r.destination)) for r in conf.ipam.routes) or routes,
            dns=dns if request.dns == NO_DNS else request.dns,
        )
        shown = result.to_json(conf.cni_version)
        _finish(
            store,
            key,
            nonce,
            stored(shown if conf.cni_version == NEWEST else result.to_json(NEWEST), said, made.table),
            lends=said is not None,
        )
        trace.mark("record")
        if b'"portMappings"' in request.raw:  # the capability is declared: published ports may be handed over
            from calico_rkt.plugin.attach import ports

            ports.tell(request, endpoint, store)
        answer(shown)
        trace.mark("answer")
        undo.forget()
        LOG.info("ADD %s %s %s: %s", *words(key), shown.get("ips") or shown)
        return None


def _absolute(path: str) -> str:
    return path if path.startswith("/") else str(Path(path).absolute())


def _plain(request: Request, enforcer: Enforcer, draft: Endpoint) -> Endpoint | None:
    """The endpoint recorded, where no trace of an earlier attempt is there and nothing has to be asked first."""
    if ipam_plugin.is_delegated(request.conf) or pair.is_there(draft.host_ifname):
        return None
    signals.stop_if_asked()
    return enforcer.add_plain(request.conf, draft, request.conf.ipam, request.requested)


def _linked(
    request: Request,
    store: Store,
    netns: pair.Netns,
    draft: Endpoint,
    routes: Sequence[Net],
    gateways: Mapping[int, Address],
    endpoint: Endpoint | None,
) -> tuple[Endpoint, pair.Link]:
    """The endpoint recorded with its addresses, where it is not yet, and its pair; an error leaves neither.

    An address that the host has itself, or a route to it alone, is given to nobody: the next free one is.
    """
    conf, ipam = request.conf, NO_IPAM if draft.addresses else request.conf.ipam
    enforcer = enforcer_of(store)
    while True:
        mine = endpoint or record_endpoint(enforcer, store, conf, draft, ipam, request.requested)
        try:
            trace.mark("address")
            signals.stop_if_asked()
            made = pair.create_pair(
                netns,
                host_ifname=mine.host_ifname,
                ifname=mine.key.ifname,
                addresses=mine.addresses,
                mtu=conf.mtu,
                key=mine.key,
                nonce=mine.nonce,
                routes=routes,
                mac=mine.mac,
                gateways=gateways,
                clear_of_the_host=bool(ipam.ranges),
                group=enforcer.group(conf),
            )
        except BaseException as e:
            undone("take the record back", lambda: tear_down(mine, store))  # noqa: B023 - now
            if not isinstance(e, pair.TakenError) or not ipam.ranges or e.address in request.requested:
                raise
            LOG.warning("%s of network %s: %s; another one is chosen", e.address, conf.name, e.msg)
            ipam, endpoint = replace(ipam, exclude=(*ipam.exclude, ip_network(e.address))), None
        else:
            return mine, made


def cmd_check(request: Request, store: Store) -> None:
    """CNI's CHECK: the record, both link ends, addresses, routes and policy are as ADD left them."""
    key = key_of(request)
    known = store.endpoint(key)
    if known is None or not known.result:
        raise CniError(Code.UNKNOWN_CONTAINER, f"{key.ifname} of this container is not attached to {key.network!r}")
    with pair.open_netns(request.netns, request.netns_fd) as netns:
        if (known.netns_dev, known.netns_inode) != (netns.dev, netns.inode):
            raise CniError(Code.CHECK_FAILED, "the attachment is in another netns", known.netns)
        problems = [
            *pair.check_link(
                netns, known, _routes(request.conf), gateways_in(known.result), _mac_in(request.prev_result, known)
            ),
            *enforcer_of(store).check(request.conf, known),
            *_differs(request.prev_result, known),
        ]
    if ipam_plugin.is_delegated(request.conf):
        ipam_plugin.ipam_check(request, given_in(known.result))
    if problems:
        told = "; ".join(dict.fromkeys(problems))
        raise CniError(Code.CHECK_FAILED, f"the attachment is not whole: {problems[0]}", told)


def cmd_status(request: Request, store: Store) -> None:
    """CNI's STATUS: nothing when an ADD can be served; CniError 50 else."""
    try:
        store.ranges()
        enforcer_of(store).usable(request.conf)
        ask_delegate(request, ipam_plugin.ipam_status)
    except CniError as e:
        raise CniError(Code.NOT_AVAILABLE, f"an ADD can not be served: {e.msg}", e.details) from e


def _repeated(known: Endpoint, netns: pair.Netns, request: Request, enforcer: Enforcer) -> Result | None:
    """The old result where record, netns and link all still match; None where nothing of it lives or it never finished.

    A DEL that failed at the link has taken the policy's elements away: they are put back.

    The number of a namespace that is gone may have been given to the new one.
    """
    if not known.result:
        return None
    is_same = (known.netns_dev, known.netns_inode) == (netns.dev, netns.inode)
    life = life_of(known) if is_same else survey([known])[0][1]
    if life is Life.OVER:
        LOG.warning("ADD %s %s %s: its earlier container is gone, and no DEL came", *words(known.key))
        return None
    if not is_same:
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{request.ifname} of this container is attached to network {request.conf.name!r} in another netns already",
            f"attached in {known.netns}, which lives; DEL it first, or free it: calico-rkt gc --attachment {known.key}",
        )
    problems = pair.check_link(netns, known, _routes(request.conf), gateways_in(known.result))
    if problems:
        raise CniError(
            Code.ATTACHMENT_EXISTS,
            f"{request.ifname} of this container is attached to network {request.conf.name!r} already, but not whole",
            "; ".join(problems) + f"; DEL it first, or free it: calico-rkt gc --attachment {known.key}",
        )
    if enforcer.check(request.conf, known):
        enforcer.attach_again(request.conf, known)
    return from_json(known.result)


@kept
def _routes(conf: NetConf) -> tuple[Net, ...]:
    """Where the interface leads beside the default: to its own network, which matters to a container in two."""
    own = [r.subnet for ranges in conf.ipam.ranges for r in ranges]
    return tuple(dict.fromkeys([*own, *(r.destination for r in conf.ipam.routes)]))


def _delegated(
    request: Request, store: Store, netns: pair.Netns, undo: Undo
) -> tuple[tuple[Address, ...], tuple[ResultRoute, ...], Dns, Given | None]:
    from calico_rkt.plugin.attach import lent  # most ADDs hand out addresses themselves

    key = key_of(request)
    if lent.make_way(store.run_dir, key, request.conf.ipam.type):
        LOG.warning("ADD %s %s %s: what its ipam plugin had given to an attempt that ended is given back", *words(key))
    given, said = ipam_plugin.ipam_add(
        request, lambda: lent.note(store.run_dir, key, request, netns), lambda: lent.drop(store.run_dir, key)
    )
    undo.note(
        "run the ipam plugin's DEL",
        lambda: lent.given_back(store.run_dir, key, lambda: ipam_plugin.ipam_del(request)),
    )
    addresses = tuple(ip_interface(ip.address).ip for ip in given.ips)
    if not addresses:
        raise CniError(Code.DELEGATE, f"ipam plugin {request.conf.ipam.type!r} gave no address")
    return addresses, given.routes, given.dns, said


def _free_former(request: Request, known: Endpoint, store: Store, way: str) -> None:
    """What an ADD left that was killed half way, or a container without a DEL; by whose plugin comes later."""
    lends = '"ipam"' in known.result
    if lends:
        from calico_rkt.plugin.attach import lent

        lent.note_recorded(store.run_dir, known)
    tear_down(known, store, way)
    if lends and not ipam_plugin.is_delegated(request.conf):
        lent.make_way(store.run_dir, known.key, ipam_plugin.OWN)


def _finish(store: Store, key: Key, nonce: str, result: str, *, lends: bool) -> None:
    store.finish(key, nonce, result)
    if lends:
        from calico_rkt.plugin.attach import lent

        lent.drop(store.run_dir, key)  # from here on the record knows whom to ask


def _differs(prev_result: str, known: Endpoint) -> list[str]:
    if not prev_result:
        return []
    previous = json.loads(prev_result)
    listed = previous.get("ips")
    given = {str(ip.get("address", "")) for ip in (listed if isinstance(listed, list) else ()) if isinstance(ip, dict)}
    given |= {str(previous[k].get("ip", "")) for k in ("ip4", "ip6") if isinstance(previous.get(k), dict)}
    missing = {f"{a}/{a.max_prefixlen}" for a in known.addresses} - given
    return [f"prevResult lacks the address {a}" for a in sorted(missing)]


def _mac_in(prev_result: str, known: Endpoint) -> str:
    """The MAC that the container's end has by the word of all plugins of the list: tuning, behind us, may set it."""
    listed = json.loads(prev_result).get("interfaces") if prev_result else None
    for interface in listed if isinstance(listed, list) else ():
        if isinstance(interface, dict) and interface.get("sandbox") and interface.get("name") == known.key.ifname:
            return str(interface.get("mac", "")).lower()
    return ""


def _no_record_on_error(undo: Undo, store: Store, key: Key, nonce: str) -> None:
    """What a disk says has failed may stand there all the same: it was ended between two of its steps."""
    if isinstance(store, LocalStore):
        undo.note("take the record back", lambda: store.remove(key, nonce))
