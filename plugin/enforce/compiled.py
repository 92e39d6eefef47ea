"""Confs, profiles and records in; what they compile to, and the elements and scripts in force, out. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from sys import intern

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, to_host_script
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.groups import clash, group_of
from calico_rkt.plugin.model import Endpoint, Published
from calico_rkt.plugin.store.local import LocalStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File
    from calico_rkt.compiler.ir.model import Network
    from calico_rkt.compiler.targets.felix import Nodes
    from calico_rkt.compiler.targets.nftables.write import Piece


def elements_of(endpoint: Endpoint) -> EndpointElements:
    """An endpoint as nftables sees it."""
    return EndpointElements(
        host_ifname=endpoint.host_ifname,
        addresses=endpoint.addresses,
        network_id=intern(object_id(endpoint.key.network)),  # one text for all of a network
        ip_masq=endpoint.ip_masq,
    )


def compile_published(
    conf: NetConf,
    known_ids: frozenset[str] | None = None,
    files: Mapping[str, bytes] | Sequence[File] | None = None,
    *,
    felix: Nodes | None = None,
) -> Published:
    """What files compile to, as it is published; CniError with the diagnostics where they don't.

    known_ids: of all networks of this host, where they are known; a rule about any other is refused then. files: what
    they say, or their bytes by path; None stands for the host's own. felix: what the cluster says of its nodes, where
    there is one.
    """
    from calico_rkt.compiler.pipeline import compile_for_host
    from calico_rkt.compiler.workspace.host import overrides_of

    with _compiling(conf.name):
        found = compile_for_host(conf, overrides_of(conf) if files is None else files, known_ids, felix=felix)
    return Published(found.network.id, conf.name, found.text, found.digest)


def compiles_to(
    conf: NetConf,
    published: Published,
    known_ids: frozenset[str] | None,
    files: Mapping[str, bytes] | Sequence[File] | None,
    *,
    felix: Nodes | None = None,
) -> bool:
    """Whether compile_published() would give the digest of this profile, which was verified; CniError as there.

    What such a text says is what the files say: it need not be made again to be read back.
    """
    from calico_rkt.compiler.pipeline import digest_for_host
    from calico_rkt.compiler.workspace.host import overrides_of

    with _compiling(conf.name):
        given = overrides_of(conf) if files is None else files
        return digest_for_host(conf, given, known_ids, felix=felix) == published.digest


@contextmanager
def _compiling(network: str) -> Iterator[None]:
    """A CompileError inside is CniError 7 about the files of the network."""
    try:
        yield
    except CompileError as e:
        errors = [d for d in e.diagnostics if d.is_error]
        where = f"{errors[0].path}: " if errors[0].path else ""  # of a file or folder as such, not of a line
        raise CniError(
            Code.INVALID_CONF,
            f"the policy of network {network!r} does not compile: {where}{errors[0].message}",
            render_diagnostics(errors),
        ) from e


@contextmanager
def enforceable(network_id: str) -> Iterator[None]:
    """A CompileError inside is CniError 106 about the network's published profile."""
    try:
        yield
    except CompileError as e:
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the published profile {network_id!r} can not be enforced",
            render_diagnostics(e.diagnostics),
        ) from e


def require_own_group(network_id: str, others: Iterable[str]) -> None:
    """CniError where another network has this one's device group: the kernel could not tell them apart."""
    other = clash(network_id, others)
    if other is not None:
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"network {network_id} has the same device group as network {other}: {group_of(network_id)}",
            "give the network another name; one network in a thousand million has this number",
        )


@dataclass(frozen=True, slots=True)
class Made:
    """What a verified text says, and that network's part of a text for nftables."""

    network: Network
    piece: Piece


def made_of(network: Network) -> Made:
    """CniError 106 where nftables can't say the network."""
    from calico_rkt.compiler.targets.nftables.write import nftables_piece

    with enforceable(network.id):
        return Made(network, nftables_piece(network))


def in_force(
    store: LocalStore, network_ids: Iterable[str], made: Made | None = None
) -> tuple[dict[str, str], dict[str, CniError | None]]:
    """The scripts of these networks, as table.restore takes them; those whose published profile is missing or unfit.

    Of the unfit ones the reason; None of a missing one. Unfit is a network, too, whose device group an earlier one has.
    made: of the very Network that the store has of a profile, where somebody has made it.
    """
    from calico_rkt.compiler.targets.nftables.write import join_nftables

    pieces: dict[str, Piece] = {}
    scripts: dict[str, str] = {}
    unfit: dict[str, CniError | None] = {}
    of_group: dict[int, str] = {}
    for network_id in sorted(network_ids):
        try:
            network = store.network(network_id)
            if network is None:
                unfit[network_id] = None
                continue
            require_own_group(network_id, filter(None, [of_group.get(group_of(network_id))]))
            found = made if made is not None and made.network is network else made_of(network)
            pieces[network_id] = found.piece
            scripts[network_id] = to_host_script(network_id, network.endpoint_to_host)
            of_group[group_of(network_id)] = network_id
        except CniError as e:
            unfit[network_id] = e
    if scripts:
        first = min(scripts)  # one text builds the chains of all; the others' scripts come behind it
        scripts[first] = join_nftables(pieces.values()) + scripts[first]
    return scripts, unfit
