"""An endpoint and its conf in; the network's profile published and enforced, and the endpoint attached to it, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf, Range
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce import compiled, local
from calico_rkt.plugin.enforce import forget_flows as flows
from calico_rkt.plugin.enforce.compiled import elements_of
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, adding_all
from calico_rkt.plugin.enforce.nft.libnftables import NftError
from calico_rkt.plugin.enforce.subnets import refuse_covering
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import host_ends, sysctls
from calico_rkt.plugin.link.groups import group_of
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore


@dataclass(frozen=True, slots=True)
class NftablesEnforcer:
    """The Enforcer of one host: its table `inet calico_rkt`."""

    store: LocalStore

    def guard(self) -> AbstractContextManager[None]:
        """A restore between an endpoint's elements and its record would put the elements back."""
        return policy_lock(self.store.run_dir, shared=True)

    def check_host(self, conf: NetConf) -> None:
        """Asked once for each new range. A single address of the host is given to nobody, see pair.create_pair()."""
        refuse_covering(conf.name, self._fresh(conf))

    def add(self, _conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]) -> Endpoint:
        return self.store.add(endpoint, ipam, requested)

    def add_plain(
        self, _conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]
    ) -> Endpoint | None:
        try:
            return self.store.add_plain(endpoint, ipam, requested)
        except CniError as e:
            if e.code not in (Code.ADDRESS_TAKEN, Code.POOL_EXHAUSTED):
                raise
            return None  # what is gone may have to be freed

    def gateways(self) -> Mapping[int, Address]:
        return {}

    def settle(self, conf: NetConf, endpoint: Endpoint, exposed: Collection[Address]) -> tuple[Address, ...]:
        """See flows.settle_flows()."""
        return flows.settle_flows(self.store, conf, endpoint, exposed)

    def release(self, kept_back: Collection[Address]) -> None:
        if kept_back:
            flows.release_guards(kept_back)

    def forget_flows(self, _endpoint: Endpoint) -> None:
        """Nothing: its record's removal leaves them to who takes the addresses next."""

    def attach(self, conf: NetConf, endpoint: Endpoint) -> None:
        """One transaction of a few elements; the network's chains are built first where the kernel lacks them.

        Nothing of Jinja2 or YAML is imported when they are there. A range that this call is the first to use is not in
        the table yet, though the network's chains may be: they are built of every published profile.
        """
        wanted = elements_of(endpoint)
        if self._fresh(conf):
            self._make_ready(conf, wanted)
            return
        with policy_lock(self.store.run_dir, shared=True, meanwhile=table.close_first):
            try:
                table.add_endpoint(wanted)
            except (table.BaseMissingError, table.NetworkMissingError):
                pass
            else:
                return
        self._make_ready(conf, wanted)

    def _fresh(self, conf: NetConf) -> tuple[Range, ...]:
        return self.store.unrecorded(conf.name, [r for ranges in conf.ipam.ranges for r in ranges])

    def _make_ready(self, conf: NetConf, wanted: EndpointElements) -> None:
        table.close_first()
        while not self._built(conf, wanted):
            LOG.info("the published profile of network %s changed while its chains were made ready", conf.name)
        _warn_of_the_host()

    def _built(self, conf: NetConf, wanted: EndpointElements) -> bool:
        """Publish the network's profile when it has none, build what the kernel lacks, attach; False: do it again.

        What takes long, compiling and writing, is done before the lock, under which other networks' calls wait: there
        only the published text is looked at again. What is published stays as it is, also where the host's files
        compile to something else by now.
        """
        store, network_id = self.store, object_id(conf.name)
        store.keep_verified(network_id)
        _require_free_group(store, network_id)
        published = store.published(network_id) or store.publish(compiled.compile_published(conf))
        if published.network != conf.name:
            raise CniError(
                Code.PROFILE_UNUSABLE,
                f"the published profile {network_id!r} belongs to network {published.network!r}, not {conf.name!r}",
            )
        made = compiled.made_of(store.meant(published))
        ready = local.policy_script(made)
        with policy_lock(store.run_dir, meanwhile=table.close_first):
            local.finish_apply(store)
            if store.published_text(network_id) != published.text:
                return False
            found = table.standing()
            if found is table.Standing.WHOLE:
                table.set_ranges(store.ranges())
                members = adding_all([elements_of(e) for e in store.endpoints(conf.name)], frozenset({network_id}))
                try:
                    table.apply_scripts([ready])
                    table.admit(members)
                except NftError as e:
                    if not e.busy:
                        raise
                    LOG.warning("an element of network %s leads elsewhere: building all of the table", conf.name)
                    local.restore_policy(store, made)
            else:
                LOG.info("the nftables table is %s: building all of it", found.value)
                local.restore_policy(store, made)
            table.add_endpoint(wanted)
        return True

    def attach_again(self, conf: NetConf, endpoint: Endpoint) -> None:
        for words in host_ends.put_into_groups([(endpoint.nonce, endpoint.host_ifname, self.group(conf))]):
            LOG.error("%s", words)
        self.attach(conf, endpoint)

    def group(self, conf: NetConf) -> int:
        return group_of(object_id(conf.name))

    def detach(self, endpoint: Endpoint) -> None:
        """Elements that are gone already are no error."""
        table.remove_endpoint(elements_of(endpoint))
        if not endpoint.result:
            flows.release_unfinished(self.store, endpoint.addresses)

    def check(self, _conf: NetConf, endpoint: Endpoint) -> list[str]:
        """Where what it rests on in the kernel differs from what is published and recorded."""
        from calico_rkt.plugin.enforce.differences import (
            attachment_differences,  # an ADD never compares: it need not import it
        )

        return list(attachment_differences(self.store, endpoint))

    def usable(self, conf: NetConf) -> None:
        found = table.standing()
        if found is table.Standing.NEWER:
            raise table.NewerTableError
        if found is table.Standing.HELD:
            raise table.HeldTableError
        if self.store.published(object_id(conf.name)) is None:
            compiled.compile_published(conf)


def _require_free_group(store: LocalStore, network_id: str) -> None:
    """CniError where another network has the number of this one's device group, or an interface that is not ours.

    Of networks that are published or have endpoints here: a restore builds the chains of all of them, the first by id
    where builds of before let two in.
    """
    published = frozenset(store.published_ids())
    others = store.used_ids() | published
    compiled.require_own_group(network_id, [i for i in others if i < network_id or network_id not in published])
    group = group_of(network_id)
    name = host_ends.foreign_in_group(group)
    if name:
        raise CniError(
            Code.POLICY,
            f"the host's {name} is in device group {group}, which stands for network {network_id}",
            f"ip link set dev {name} group default",
        )


def _warn_of_the_host() -> None:
    """What of the host breaks what containers are promised; told once for each network that is made ready here."""
    for words in sysctls.warnings():
        LOG.warning("%s", words)
    try:
        for finding in local.blocked_forwarding():
            LOG.warning("%s", finding)
    except (CniError, LookupError, ValueError, TypeError) as e:  # other people's tables are no reason to fail an ADD
        LOG.info("other tables could not be judged: %s", e)
