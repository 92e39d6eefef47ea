"""Nothing in, the path of a real crictl out: built once, from the Go module proxy, by the Go that its module asks for.

Debian 12 has no crictl, and a Go that is too old for one; but that Go fetches a newer one as a module. Both versions
are pinned, and Go compares what it gets with its checksum database. Only the program is kept: 28 MB of 1.7 GB.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "v1.34.0"
_MODULE = f"sigs.k8s.io/cri-tools@{VERSION}"
_GO = "golang.org/toolchain@v0.0.1-go1.24.6.linux-amd64"
_BUILD = Path(__file__).parents[3] / "build"
_LONGEST = 3600.0
"""Seconds: two minutes of work, on machines that do much else."""


def crictl() -> Path:
    """RuntimeError with what Go said where it can't be built. Two processes that ask build it once."""
    _BUILD.mkdir(exist_ok=True)
    made = _BUILD / f"crictl-{VERSION}"
    with (_BUILD / "crictl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(prefix="calico-rkt-go-") as folder:
                _build(Path(folder), made.with_name(f"{made.name}.building"))
            made.with_name(f"{made.name}.building").rename(made)
    return made


def _build(folder: Path, target: Path) -> None:
    go = shutil.which("go") or "/usr/lib/go/bin/go"
    flags = "-modcacherw -buildvcs=false"  # what is made here can be deleted
    env = {
        **os.environ,
        "HOME": str(folder),
        "GOPATH": f"{folder}/path",
        "GOCACHE": f"{folder}/cache",
        "GOFLAGS": flags,
        "GOTOOLCHAIN": "local",
    }
    toolchain, source = (_download(go, module, folder, env) for module in (_GO, _MODULE))
    for program in (*toolchain.glob("bin/*"), *toolchain.glob("pkg/tool/*/*")):
        program.chmod(0o755)
    _run(
        *(str(toolchain / "bin" / "go"), "build", "-trimpath", "-ldflags=-s -w", "-o", str(target), "./cmd/crictl"),
        cwd=source,
        env={
            **env,
            "GOROOT": str(toolchain),
            "CGO_ENABLED": "0",
            "GOFLAGS": "-modcacherw -mod=readonly -buildvcs=false",
        },
    )


def _download(go: str, module: str, folder: Path, env: dict[str, str]) -> Path:
    said = _run(go, "mod", "download", "-json", module, cwd=folder, env=env)
    return Path(json.loads(said)["Dir"])


def _run(*argv: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=_LONGEST)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv[:3])} ... failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
