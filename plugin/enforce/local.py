"""An endpoint and its conf in; the network's profile published and enforced, and the endpoint attached to it, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError, render
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.enforce import forget_flows as flows
from calico_rkt.plugin.enforce.compiled import elements_of, enforceable, in_force
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, adding_all, to_host_script
from calico_rkt.plugin.enforce.nft.libnftables import NftError
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import pair
from calico_rkt.plugin.model import Endpoint, Published
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File
    from calico_rkt.compiler.targets.felix import Nodes


def guard(store: LocalStore) -> AbstractContextManager[None]:
    """Held from an endpoint's elements to its record: a restore in between would put the elements back."""
    return policy_lock(store.run_dir, shared=True)


def add(store: LocalStore, _conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
    """Record the endpoint with its addresses."""
    return store.add(endpoint, ipam, requested)


def gateways(_store: LocalStore) -> Mapping[int, Address]:
    """No other next hops than the usual ones."""
    return {}


def settle(store: LocalStore, conf: NetConf, endpoint: Endpoint, exposed: Collection[Address]) -> tuple[Address, ...]:
    """See flows.settle()."""
    return flows.settle(store, conf, endpoint, exposed)


def release(kept_back: Collection[Address]) -> None:
    """See flows.release()."""
    if kept_back:
        flows.release(kept_back)


def forget_flows(_endpoint: Endpoint) -> None:
    """Nothing: its record's removal leaves them to who takes the addresses next."""


def attach(store: LocalStore, conf: NetConf, endpoint: Endpoint) -> None:
    """One transaction of a few elements; the network's chains are built first where the kernel lacks them.

    Nothing of Jinja2 or YAML is imported when they are there.
    """
    wanted = elements_of(endpoint)
    with policy_lock(store.run_dir, shared=True, meanwhile=table.close_first):
        try:
            table.attach(wanted)
        except (table.BaseMissingError, table.NetworkMissingError):
            pass
        else:
            return
    table.close_first()
    while not _built(store, conf, wanted):
        LOG.info("the published profile of network %s changed while its chains were made ready", conf.name)
    _warn_of_blocked_forwarding()


def detach(endpoint: Endpoint) -> None:
    """Take the endpoint's elements away; those that are gone already are no error."""
    table.detach(elements_of(endpoint))


def _built(store: LocalStore, conf: NetConf, wanted: EndpointElements) -> bool:
    """Publish the network's profile when it has none, build what the kernel lacks, attach; False to be done again.

    What takes long, compiling and writing, is done before the lock, under which other networks' calls wait: there only
    the published text is looked at again. What is published stays as it is, also where the host's files compile to
    something else by now.
    """
    network_id = object_id(conf.name)
    published = store.published(network_id) or store.publish(compile_published(conf))
    if published.network != conf.name:
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the published profile {network_id!r} belongs to network {published.network!r}, not {conf.name!r}",
        )
    ready = script(published)
    with policy_lock(store.run_dir, meanwhile=table.close_first):
        finish_apply(store)
        if store.published_text(network_id) != published.text:
            return False
        found = table.standing()
        if found is table.Standing.WHOLE:
            table.set_ranges(store.ranges())
            members = adding_all([elements_of(e) for e in store.endpoints(conf.name)], frozenset({network_id}))
            try:
                table.apply_scripts([ready, members])
            except NftError as e:
                if not e.busy:
                    raise
                LOG.warning("an element of network %s leads elsewhere: building all of the table", conf.name)
                restore(store)
        else:
            LOG.info("the nftables table is %s: building all of it", found.value)
            restore(store)
        table.attach(wanted)
    return True


def _warn_of_blocked_forwarding() -> None:
    try:
        for finding in blocked_forwarding():
            LOG.warning("%s", finding)
    except (CniError, LookupError, ValueError, TypeError) as e:  # other people's tables are no reason to fail an ADD
        LOG.info("other tables could not be judged: %s", e)


def members_script(store: LocalStore, network_ids: Collection[str]) -> str:
    """The script that puts every recorded endpoint of these networks in place; a restore may have left them closed."""
    mine = [elements_of(e) for e in store.endpoints() if object_id(e.key.network) in network_ids]
    return adding_all(mine, frozenset(network_ids))


def finish_apply(store: LocalStore) -> None:
    """Complete an apply that was killed between staging its files and renaming them. Under the policy lock."""
    unfinished = store.unfinished()
    if unfinished:
        LOG.warning("an apply was cut short: completing it for %s", ", ".join(unfinished))
        store.commit()
        restore(store)


def compile_published(
    conf: NetConf,
    known_ids: frozenset[str] | None = None,
    files: Sequence[File] | None = None,
    *,
    felix: Nodes | None = None,
) -> Published:
    """What the host's files compile to, as it is published; CniError with the diagnostics where they don't.

    known_ids: of all networks of this host, where they are known; a rule about any other is refused then. files: what
    the host's files say, where they were read already. felix: what the cluster says of its nodes, where there is one.
    """
    return compiled(conf, files, known_ids, felix=felix)


def compiled(
    conf: NetConf,
    files: Mapping[str, bytes] | Sequence[File] | None,
    known_ids: frozenset[str] | None = None,
    *,
    felix: Nodes | None = None,
) -> Published:
    """The same for other files than the host's, which None stands for."""
    from calico_rkt.compiler.pipeline import compile_for_host
    from calico_rkt.compiler.workspace.host import overrides_of

    try:
        found = compile_for_host(conf, overrides_of(conf) if files is None else files, known_ids, felix=felix)
    except CompileError as e:
        errors = [d for d in e.diagnostics if d.is_error]
        where = f"{errors[0].path}: " if errors[0].path else ""  # of a file or folder as such, not of a line
        raise CniError(
            Code.INVALID_CONF,
            f"the policy of network {conf.name!r} does not compile: {where}{errors[0].message}",
            render(errors),
        ) from e
    return Published(found.network.id, conf.name, found.text, found.digest)


def script(*published: Published) -> str:
    """The nftables script of published profiles, whose digests have been verified."""
    from calico_rkt.compiler.targets.calico_v3.read import verify
    from calico_rkt.compiler.targets.nftables import write as nftables

    pieces, to_host = [], []
    for one in published:
        with enforceable(one.network_id):
            network = verify(one.text)
            pieces.append(nftables.piece(network))
            to_host.append(to_host_script(network.id, network.endpoint_to_host))
    return nftables.join(pieces) + "".join(to_host)


def restore(store: LocalStore) -> tuple[int, tuple[str, ...]]:
    """Rebuild the whole table in one transaction, under the policy lock; (endpoints, networks that stay closed).

    A network whose published profile is missing or unfit is used for nothing: its endpoints stay closed. Where the
    host is open it is closed before anything is read.
    """
    table.close_first()
    endpoints = store.endpoints()
    scripts, closed = in_force(store, {object_id(e.key.network) for e in endpoints} | set(store.published_ids()))
    table.restore([elements_of(e) for e in endpoints], scripts, store.ranges())
    flows.restore(store)
    return len(endpoints), closed


def restore_closed(store: LocalStore) -> bool:
    """Where somebody closed the host and died, restore everything: nobody else may come to do it. Whether it did."""
    if table.standing() is not table.Standing.CLOSED or not store.is_there():
        return False
    with policy_lock(store.run_dir, meanwhile=table.close_first):
        finish_apply(store)
        if table.standing() is table.Standing.CLOSED:
            restore(store)
    return True


def check(store: LocalStore, _conf: NetConf, endpoint: Endpoint) -> list[str]:
    """Where what an endpoint rests on in the kernel differs from what is published and recorded, in words."""
    from calico_rkt.plugin.enforce.differences import of_attachment  # an ADD never compares, and need not import it

    return list(of_attachment(store, endpoint))


def check_host(store: LocalStore, conf: NetConf) -> None:
    """Refuse a range that overlaps an on-link route of the host; asked once for each new range.

    A single address of the host inside it is given to nobody, which link.create() sees to.
    """
    fresh = store.unrecorded(conf.name, [r for ranges in conf.ipam.ranges for r in ranges])
    if not fresh:
        return
    for net, ifname in pair.host_networks():
        for r in fresh if net.prefixlen < net.max_prefixlen else ():
            if net.version == r.subnet.version and net.overlaps(r.subnet):
                raise CniError(
                    Code.INVALID_CONF,
                    f"subnet {r.subnet} of network {conf.name!r} covers {net}, which this host has on {ifname}",
                    "choose a subnet that no interface of the host is in",
                )


def usable(store: LocalStore, conf: NetConf) -> None:
    """Raise CniError when an ADD to this network would fail for its policy."""
    found = table.standing()
    if found is table.Standing.NEWER:
        raise table.NewerTableError
    if found is table.Standing.HELD:
        raise table.HeldTableError
    published = store.published(object_id(conf.name))
    if published is None:
        compile_published(conf)


def blocked_forwarding() -> tuple[str, ...]:
    """What in other tables drops forwarded packets of ours, each with the command that mends it."""
    from calico_rkt.plugin.enforce.other_firewalls import blocked

    return tuple(f"{f.what}; {f.mend}" for f in blocked.findings())
