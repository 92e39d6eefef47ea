"""The launcher, which is C, built for arm64 with all warnings as errors; what it answers alone, it answers there."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.caller import VERSIONS
from tests.clients.support.lab import environment

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
BUILD = "0123456789abcdef0123456789abcdef"


def build_script() -> ModuleType:
    """packaging/build.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("build_for_arm64", ROOT / "packaging" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_launcher_is_built_for_arm64_and_answers(debian: Callable[..., DebianHost]) -> None:
    build = build_script()
    host = debian("bookworm", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user-static")
    for path in build.LAUNCHER.glob("launcher*.[ch]"):
        host.put(path, f"/src/{path.name}")
    sources = sorted(f"/src/{path.name}" for path in build.LAUNCHER.glob("launcher*.c"))
    flags = (*build.CFLAGS.split(), *build.definitions(BUILD))
    host.out("aarch64-linux-gnu-gcc", *flags, "-o", "/calico", *sources)
    header = host.path("/calico").read_bytes()[:20]
    assert (header[:4], header[4], int.from_bytes(header[18:20], "little")) == (b"\x7fELF", 2, 183), "64 bits, AArch64"

    version = host.run("qemu-aarch64-static", "/calico", env=environment({"CNI_COMMAND": "VERSION"}))
    assert (version.returncode, version.stderr) == (0, b"")
    assert tuple(json.loads(version.stdout)["supportedVersions"]) == VERSIONS

    alone = host.run("qemu-aarch64-static", "/calico", stdin=b"{}", env=environment({"CNI_COMMAND": "ADD"}))
    assert alone.returncode == 1, "a host without python3"
    error = json.loads(alone.stdout)
    assert error["code"] == 5
    assert "python3 (3.11 or newer) is needed" in error["msg"]
