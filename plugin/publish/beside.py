"""A host's confs and one of their datastores in; the networks of the others, as they stand beside it, out."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.grammar.overrides import File
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.pipeline import resolve_network
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.felix import JUDGED
from calico_rkt.compiler.workspace.policy import policy_for
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.changes import Files
from calico_rkt.plugin.publish.datastores import DatastoreSide, clusters, opened_cluster, opened_local
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.store.access import UnreachableError

Beside = Mapping[str, tuple[NetConf, Network]]
"""Networks by name, each with its conf."""

NOBODY: Beside = {}
_NOT_READ = "what is published of {} can't be read, so what the files say, if anything, counts in its place here: {}"


def beside(side: DatastoreSide, known: Mapping[str, NetConf], files: Files, coming: Collection[str]) -> Beside:
    """The networks of all confs (known, with files) whose datastore is another one than the side's.

    Those of coming are as their files say: their turn is still to come. The others are as they are published. Where
    that can't be read, which is said on stderr, or where nothing is, the files count, if there are any.
    """
    others = {n: c for n, c in known.items() if n not in side.known}
    live, unread = _published({n: c for n, c in others.items() if n not in coming})
    found: dict[str, tuple[NetConf, Network]] = {}
    for name, conf in others.items():
        network = live.get(name) or (_as_the_files_say(conf, files[name]) if name in files else None)
        if network is not None:
            found[name] = conf, network
    for why in dict.fromkeys(unread.values()):
        names = [n for n, reason in unread.items() if reason == why and n not in live]
        if names:
            print(f"calico-rkt: {_NOT_READ.format(', '.join(names), why)}", file=sys.stderr)
    return found


def _published(confs: Mapping[str, NetConf]) -> tuple[dict[str, Network], dict[str, str]]:
    """Of each network the profile that is in force; of those where that can't be read, why."""
    found: dict[str, Network] = {}
    unread: dict[str, str] = {}

    def read(side: DatastoreSide) -> None:
        for name in side.known:
            try:
                published = side.profiles.published(object_id(name))
            except UnreachableError:
                raise  # so are those behind it
            except CniError as e:
                unread[name] = e.msg
                continue
            if published is not None:
                found[name] = verify_calico_v3(published.text)

    own = [n for n, c in confs.items() if c.datastore_type == LOCAL]
    if own:
        with _unread(unread, own), opened_local(confs) as local:
            read(local)
    with _unread(unread, [n for n in confs if n not in own]):
        for there in clusters(confs):
            with _unread(unread, there), opened_cluster(there) as cluster:
                read(cluster)
    return found, unread


@contextmanager
def _unread(why: dict[str, str], names: Iterable[str]) -> Iterator[None]:
    """A CniError inside is why these could not be read; their own turn says more of what ails them."""
    try:
        yield
    except CniError as e:
        why.update(dict.fromkeys(names, e.msg))


def _as_the_files_say(conf: NetConf, files: tuple[File, ...]) -> Network | None:
    try:
        return resolve_network(conf, policy_for(conf.name, files), felix=JUDGED)[0]
    except CompileError:
        return None  # its own turn says why
