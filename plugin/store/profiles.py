"""Profiles' texts in, readable files that a crash never leaves half written out; they outlive a reboot."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from calico_rkt.compiler import atomic
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.digest import sha256
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_rkt.compiler.ir.model import Network

_ID = re.compile(r"[a-z0-9][-.a-z0-9]{0,62}\Z")
_PUBLISHED, _NEXT = ".yaml", ".yaml.next"
_MANIFEST = "apply.json"


class ProfileFolder:
    """The published profiles of this host, one file ID.yaml each.

    verify turns a text into its Network, or raises CompileError where the digest does not fit the rules.

    A change of several is staged (ID.yaml.next files, then a manifest that names them all with their hashes) and
    committed (renames, manifest removed last). What is staged when a process dies is complete by its manifest;
    .next files without one are nothing.
    """

    def __init__(self, folder: Path, verify: Callable[[str], Network]) -> None:
        self.folder = folder
        self._verify = verify
        self._kept: dict[str, tuple[str, Network]] = {}
        self._keeps: Callable[[str], bool] = lambda _: False

    def keep_verified(self, network_id: str = "") -> None:
        """From here on a text that was verified once is not verified again: for who looks at a profile twice.

        network_id: that of one network alone; empty stands for all.
        """
        self._keeps = network_id.__eq__ if network_id else lambda _: True

    def published(self, network_id: str) -> Published | None:
        """The profile in force, or None; CniError 106 when its file was edited or is another network's."""
        text = self.text(network_id)
        return None if text is None else self._verified(network_id, text)

    def network(self, network_id: str) -> Network | None:
        """What the profile in force says, or None; CniError as published()."""
        text = self.text(network_id)
        return None if text is None else self._network(network_id, text)

    def meant(self, profile: Published) -> Network:
        """What the text of a profile says; CniError as published()."""
        return self._network(profile.network_id, profile.text)

    def text(self, network_id: str) -> str | None:
        """What the profile's file says, unverified; None without one."""
        try:
            with self._errors():
                return atomic.read(self._path(network_id)).decode()
        except UnicodeDecodeError as e:
            raise CniError(Code.PROFILE_UNUSABLE, f"{self._path(network_id)} is no text in UTF-8") from e
        except FileNotFoundError:
            return None

    def ids(self) -> tuple[str, ...]:
        """The ids of all published profiles, sorted; nothing is verified."""
        with self._errors():
            try:
                names = [path.name for path in self.folder.iterdir()]
            except FileNotFoundError:
                return ()
        found = (n.removesuffix(_PUBLISHED) for n in names if n.endswith(_PUBLISHED))
        return tuple(sorted(i for i in found if _ID.match(i)))

    def publish(self, profile: Published) -> Published:
        """Create the network's profile when it has none; returns what is in force then. Of several, one wins."""
        self._verified(profile.network_id, profile.text)
        path = self._path(profile.network_id)
        with self._errors():
            atomic.make_folder(self.folder, 0o755)
            atomic.create(path, profile.text.encode(), 0o644)
        found = self.published(profile.network_id)
        if found is None:
            raise CniError(Code.TRY_AGAIN, f"the profile {profile.network_id} was deleted while it was published")
        if found.network != profile.network:
            raise CniError(
                Code.PROFILE_UNUSABLE,
                f"the networks {found.network!r} and {profile.network!r} have one id, {profile.network_id}",
                "give one of them another name",
            )
        return found

    def unpublish(self, network_id: str) -> bool:
        """Delete a profile; False when there is none."""
        with self._errors():
            try:
                self._path(network_id).unlink()
            except FileNotFoundError:
                return False
            atomic.sync(self.folder)
            return True

    def stage(self, texts: Mapping[str, str]) -> None:
        """Write down a change of several profiles; it counts from the moment that this returns. Under the policy lock.

        CniError when another change is staged: commit() or abort() it first.
        """
        if self.pending():
            raise CniError(Code.POLICY, "an earlier apply is not finished")
        for network_id, text in texts.items():
            self._verified(network_id, text)
            path = self._path(network_id)
            if path.is_dir() and not path.is_symlink():
                raise CniError(Code.IO, f"{path} is a folder, and can't be replaced", f"mv {path} {path}.was")
        try:
            self._stage(texts)
        except BaseException:  # the manifest may stand already: nobody may complete what was told to have failed
            with suppress(CniError):
                self.abort()
            raise

    def _stage(self, texts: Mapping[str, str]) -> None:
        with self._errors():
            atomic.make_folder(self.folder, 0o755)
            self._sweep()
            for network_id, text in texts.items():
                atomic.replace(self.folder / (network_id + _NEXT), text.encode(), 0o644)
            manifest = {i: _hash(text.encode()) for i, text in texts.items()}
            atomic.replace(self.folder / _MANIFEST, json.dumps(manifest, sort_keys=True).encode(), 0o644)

    def is_staged(self) -> bool:
        """Whether a change is written down: somebody is at it, or died at it. Needs no lock, and tells nothing."""
        return (self.folder / _MANIFEST).exists()

    def pending(self) -> tuple[str, ...]:
        """The ids of a staged change that is not committed, sorted; empty when there is none."""
        return tuple(sorted(self._manifest()))

    def unfinished(self) -> tuple[tuple[str, ...], str]:
        """The ids of a staged change that can be committed; and why one can't be, in words."""
        try:
            manifest = self._manifest()
            with self._errors():
                for network_id, expected in sorted(manifest.items()):
                    self._check_staged(network_id, expected)
        except (CniError, FileNotFoundError) as e:
            return (), f"an apply was cut short and can't be completed: {e}"
        return tuple(sorted(manifest)), ""

    def commit(self) -> None:
        """Put a staged change in the place of what was published. May be repeated after a crash at any point."""
        manifest = self._manifest()
        with self._errors():
            ready = [self._check_staged(network_id, expected) for network_id, expected in sorted(manifest.items())]
            for fresh, path in ready:
                if fresh.exists():
                    fresh.replace(path)
            if self.folder.exists():
                atomic.sync(self.folder)
                (self.folder / _MANIFEST).unlink(missing_ok=True)
                atomic.sync(self.folder)

    def abort(self) -> None:
        """Forget a staged change that was not put in force."""
        with self._errors():
            if self.folder.exists():
                (self.folder / _MANIFEST).unlink(missing_ok=True)
                atomic.sync(self.folder)
                self._sweep()

    def _check_staged(self, network_id: str, expected: str) -> tuple[Path, Path]:
        """The staged file and its place; a commit that was cut short has moved some there already."""
        path, fresh = self._path(network_id), self.folder / (network_id + _NEXT)
        have = fresh if fresh.exists() else path
        if not have.exists() or _hash(atomic.read(have)) != expected:
            raise CniError(
                Code.PROFILE_UNUSABLE,
                f"{have} is not what was staged",
                f"remove {self.folder / _MANIFEST}, then run calico-rkt apply again",
            )
        return fresh, path

    def _manifest(self) -> dict[str, str]:
        path = self.folder / _MANIFEST
        try:
            with self._errors():
                loaded = json.loads(atomic.read(path))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            loaded = None
        if not isinstance(loaded, dict) or not all(_ID.match(i) and isinstance(h, str) for i, h in loaded.items()):
            raise CniError(Code.IO, f"{path} can't be read", "remove it, then run calico-rkt apply again")
        return loaded

    def _verified(self, network_id: str, text: str) -> Published:
        network = self._network(network_id, text)
        from calico_rkt.compiler.ir.canonical import (
            digest,  # here, not above: an ADD to a network in force asks for none
        )

        return Published(network_id, network.name, text, digest(network))

    def _network(self, network_id: str, text: str) -> Network:
        kept = self._kept.get(network_id)
        if kept is not None and kept[0] == text:
            return kept[1]
        path = self._path(network_id)
        try:
            network = self._verify(text)
        except CompileError as e:
            raise CniError(
                Code.PROFILE_UNUSABLE,
                f"the published profile {path} is not usable: {e.diagnostics[0].message}",
                render_diagnostics(e.diagnostics),
            ) from e
        if network.id != network_id:
            raise CniError(Code.PROFILE_UNUSABLE, f"{path} holds the profile of {network.id}, not of {network_id}")
        if self._keeps(network_id):
            self._kept[network_id] = text, network
        return network

    def _path(self, network_id: str) -> Path:
        if not _ID.match(network_id):
            raise CniError(Code.INVALID_CONF, f"{network_id!r} can't be a profile's id")
        return self.folder / (network_id + _PUBLISHED)

    def _sweep(self) -> None:
        """Remove what a killed process left beside the profiles."""
        for path in tuple(self.folder.iterdir()) if self.folder.exists() else ():
            if path.name.endswith(_NEXT) or atomic.is_left(path.name):
                path.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except atomic.NoFileError as e:
            raise CniError(Code.PROFILE_UNUSABLE, f"{e.filename} {e.strerror}") from e
        except OSError as e:
            words = f"{e.filename or self.folder} can't be used: {e.strerror or e}"
            if isinstance(e, PermissionError):  # netavark tells people this line alone
                words += "; CALICO_RKT_LIB_DIR names another folder"
            raise CniError(Code.IO, words) from e


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()
