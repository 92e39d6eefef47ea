"""A repository with a file of .git damaged in; what reads a revision of it, as a door, out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.workspace.revision import open_revision
from tests.properties.inputs.door import Door
from tests.properties.inputs.policy import shown

_CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'
)
_WHO = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE")}
_ENVIRON = {**os.environ, **_WHO, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
_ENVIRON |= {"GIT_AUTHOR_DATE": "@1 +0000", "GIT_COMMITTER_DATE": "@1 +0000"}
_FOLDERS: list[Path] = []


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, env=_ENVIRON, check=True, capture_output=True)


@contextmanager
def _repositories() -> Iterator[None]:
    """One whose objects are files, and one whose objects are in a pack."""
    with tempfile.TemporaryDirectory(prefix="crk-git-") as name:
        loose, packed = Path(name, "loose"), Path(name, "packed")
        (loose / "net.d" / "profiles").mkdir(parents=True)
        _git(loose, "init", "-q", "-b", "main", "--template=")
        for ports in ("[80]", "[80, 443]"):
            (loose / "net.d" / "web.conf").write_text(_CONF)
            rule = f"  - {{action: Allow, protocol: tcp, destination: {{ports: {ports}}}}}"
            (loose / "net.d" / "profiles" / "web.yaml").write_text(f"network: web\ningress:\n{rule}\n")
            _git(loose, "add", "-A")
            _git(loose, "commit", "-q", "-m", ports)
        shutil.copytree(loose, packed)
        _git(packed, "gc", "-q")
        _FOLDERS.append(Path(name))
        yield
        _FOLDERS.pop()


def _enter(damage: tuple[str, int, str, int, bytes]) -> None:
    which, number, manner, at, data = damage
    with tempfile.TemporaryDirectory(prefix="crk-git-") as name:
        top = Path(name, "here")
        shutil.copytree(_FOLDERS[-1] / which, top)
        files = sorted(p for p in (top / ".git").rglob("*") if p.is_file())
        path = files[number % len(files)]
        path.chmod(0o600)
        text = path.read_bytes()
        at %= len(text) + 1
        if manner == "gone":
            path.unlink()
        elif manner == "another":
            path.write_bytes(files[at % len(files)].read_bytes())
        else:
            path.write_bytes({"cut": text[:at], "put": text[:at] + data + text[at + len(data) :]}[manner])
        try:
            check_workspace(open_revision("HEAD~1", top / "net.d"))
        except CompileError as e:
            shown(e)


GIT = Door(
    "git objects",
    "a repository with an object, pack, index, ref or configuration damaged",
    st.tuples(
        st.sampled_from(["loose", "packed"]),
        st.integers(0, 60),
        st.sampled_from(["put", "put", "cut", "gone", "another"]),
        st.integers(0, 2000),
        st.binary(min_size=1, max_size=3),
    ),
    _enter,
    share=10,
    setting=_repositories,
)
