"""A host in; what several checks ask of it, each looked at once, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from calico_rkt.compiler.workspace.host import HOST_FOLDERS
from calico_rkt.plugin.doctor.runtimes import runtimes_here
from calico_rkt.plugin.doctor.runtimes.reader import Runtime, Wrong
from calico_rkt.plugin.enforce.nft import libnftables
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.install import manifest
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.publish.host_confs import Decided, decided
from calico_rkt.plugin.publish.host_state import HostState, look_at_host
from calico_rkt.plugin.store.local import open_local


@dataclass
class Host:
    """confs and profiles as --confs and --profiles name them. state is None where one check says why."""

    confs: Sequence[Path] | None = None
    profiles: Path | None = None

    @cached_property
    def runtimes(self) -> tuple[Runtime | Wrong, ...]:
        return tuple(runtimes_here())

    @property
    def readers(self) -> tuple[Runtime, ...]:
        """The runtimes that read confs: those that are used here, or all that are installed where none is."""
        found = tuple(r for r in self.runtimes if isinstance(r, Runtime))
        return tuple(r for r in found if r.used) or found

    @cached_property
    def decided(self) -> Decided:
        """By the confs of this host's folders, and of those that its runtimes are configured to read."""
        more = [Path(f.path) for r in self.readers for f in r.confs]
        known = {str(f) for f in HOST_FOLDERS}
        named = [f for f in more if str(f) not in known and f.is_dir()]
        if self.confs is not None or not named:
            return decided(self.confs, self.profiles)
        return decided([*(f for f in HOST_FOLDERS if f.is_dir()), *named], self.profiles)

    @cached_property
    def nft_problem(self) -> CniError | None:
        """Why nothing can be asked of nftables here."""
        try:
            libnftables.listed("list tables")
        except CniError as e:
            return e
        return None

    @cached_property
    def _looked(self) -> HostState | CniError | None:
        try:
            return None if self.nft_problem else look_at_host(self.decided)
        except CniError as e:
            return e

    @property
    def state(self) -> HostState | None:
        return self._looked if isinstance(self._looked, HostState) else None

    @property
    def state_problem(self) -> CniError | None:
        """Why the state is not known, where nftables is not the reason."""
        return self._looked if isinstance(self._looked, CniError) else None

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those of this host's own datastore; nothing where it can't be read."""
        store = open_local()
        try:
            return store.endpoints() if store.is_there() and self.state is not None else ()
        except CniError:
            return ()
        finally:
            store.close()

    @cached_property
    def changed(self) -> dict[str, str]:
        """Each installed path that is no more what was put there, with words; CniError where nobody can tell."""
        return dict(manifest.changed())
