"""The launcher and the package in, dist/calico out: one file, the same bytes for the same input."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
OURS = ("compiler", "plugin", "profiles", "templates")
DEPENDENCIES = ("etcd", "jinja2", "markupsafe", "netaddr", "urllib3", "yaml")
AT_LEISURE = ("pyroute2",)
"""Packages that no call of a runtime needs: an archive each inside, since every start reads the list of all files."""
SKIPPED = ("etcd/tests/", "urllib3/contrib/emscripten/")
"""Parts of dependencies that are never imported."""
DATA = {".py", ".md", ".j2", ".css", ".js", ".yaml", ".typed"}
EPOCH = (1980, 1, 1, 0, 0, 0)
CFLAGS = (
    "-std=c11 -O2 -Wall -Wextra -Werror -Wconversion -D_GNU_SOURCE -DALONE -ffreestanding -nostdlib -static-pie -fPIE"
    " -fvisibility=hidden -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables"
    " -fstack-protector-strong -mstack-protector-guard=global -fstack-clash-protection -Wl,-z,now,-z,noexecstack"
)
LAUNCHER = ROOT / "plugin" / "agent"
"""Where launcher*.c and their header are."""
MAIN = ROOT / "packaging" / "zip_main.py"
START = ROOT / "packaging" / "zip_start.py"
INDEX = ROOT / "packaging" / "zip_index.py"
INDEXED = "{magic} {whole:012} {at:012} {length:012}"
"""The zip's comment: which Python can read the index of all files; the zip's length, and where in it the index is."""
SHARE = ROOT / "packaging" / "share"
MATERIALS = "sbom.cdx.json"
"""The bill of materials, in the file and beside it."""
YAML = ROOT / "packaging" / "zip_yaml.py"
LEISURE = ROOT / "packaging" / "zip_leisure.py"


def files() -> Iterator[tuple[str, Path]]:
    """Every file of the application as (name inside, path), sorted."""
    package = ROOT / "src" / "calico_rkt"
    found = [(f"calico_rkt/{name}", package / name) for name in ("__init__.py", "__main__.py", "py.typed")]
    for folder in OURS:
        found += [(f"calico_rkt/{p.relative_to(ROOT)}", p) for p in (ROOT / folder).rglob("*")]
    found += [(f"calico_rkt/codes/{p.name}", p) for p in (ROOT / "docs" / "codes").iterdir()]
    for name in DEPENDENCIES:
        found += package_files(name)
    yield from sorted((n, p) for n, p in found if _wanted(n, p))


def package_files(name: str) -> list[tuple[str, Path]]:
    """The files of an installed package as (name inside, path)."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"build: {name} is not installed in this environment")
    top = Path(spec.origin).parent
    return [(f"{name}/{p.relative_to(top)}", p) for p in sorted(top.rglob("*"))]


def leisure() -> Iterator[tuple[str, Path]]:
    """The files of AT_LEISURE, sorted, each as (name in its archive, path)."""
    yield from sorted((n, p) for name in AT_LEISURE for n, p in package_files(name) if _wanted(n, p))


def leisure_archives() -> Iterator[tuple[str, bytes]]:
    """What stands for each of these packages, as (name inside, bytes): its archive, and what loads it."""
    for name in AT_LEISURE:
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for inside, path in leisure():
                if inside.startswith(f"{name}/"):
                    archive.writestr(zipfile.ZipInfo(inside, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
                    if path.suffix == ".py":
                        compiled = bytecode(inside, path.read_bytes())
                        archive.writestr(zipfile.ZipInfo(inside + "c", EPOCH), compiled, zipfile.ZIP_DEFLATED)
        yield f"{name}/archive.zip", out.getvalue()
        yield f"{name}/__init__.py", LEISURE.read_bytes()


def _wanted(name: str, path: Path) -> bool:
    return path.is_file() and path.suffix in DATA and "__pycache__" not in name and not name.startswith(SKIPPED)


def bytecode(name: str, source: bytes) -> bytes:
    """A .pyc whose time stamp is the zip entry's; zipimport falls back to the source under another Python."""
    code = SourceFileLoader(name, name).source_to_code(source, name)
    # zipimport compares this field with the entry's DOS time, taken as local time: zero matches none and
    # makes it reread the source, so the pyc is marked as unchecked (PEP 552, flags 0b01).
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)


def extension() -> Iterator[tuple[str, Path]]:
    """PyYAML's parser in C as (name inside, path), and what loads it; nothing where PyYAML was built without."""
    spec = importlib.util.find_spec("yaml._yaml")
    if spec is not None and spec.origin is not None:
        yield f"yaml/{Path(spec.origin).name}", Path(spec.origin)
        yield "yaml/_yaml.py", YAML


def template_code() -> Iterator[tuple[str, bytes]]:
    """What stands beside each template, as (name inside, bytes), sorted: to make it anew takes a process 5 ms."""
    from calico_rkt.compiler.targets.built_templates import SUFFIX, code_of
    from calico_rkt.compiler.targets.printing import environment

    folder = ROOT / "templates"
    for name in sorted(str(path.relative_to(folder)) for path in folder.rglob("*.j2")):
        yield f"calico_rkt/templates/{name}{SUFFIX}", code_of(environment(), name)


def stripped(path: Path) -> bytes:
    """A shared object without what only debuggers read: a seventh of its bytes."""
    with TemporaryDirectory() as folder:
        subprocess.run(["strip", "--strip-unneeded", "-o", f"{folder}/stripped", str(path)], check=True)
        return Path(folder, "stripped").read_bytes()


def share() -> Iterator[tuple[str, bytes]]:
    """What `calico-rkt install` puts beside the plugin, as (name inside, bytes), sorted."""
    from manual import pages

    from calico_rkt.compiler.grammar.schema import schema

    made = {path.name: path.read_bytes() for path in SHARE.iterdir()} | dict(pages())
    made["overrides.schema.json"] = (json.dumps(schema(), indent=2) + "\n").encode()
    yield from ((f"share/{name}", made[name]) for name in sorted(made))


def build_id() -> str:
    """32 hex digits that stand for every byte of every source: an agent serves launchers of its own build only."""
    digest = hashlib.sha256(sys.version.encode())
    launcher = ((path.name, path) for path in sorted(LAUNCHER.glob("launcher*.[ch]")))
    own = ((path.name, path) for path in (MAIN, START, INDEX, LEISURE))
    for name, path in (*launcher, *own, *files(), *extension(), *leisure()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def application(build: str) -> bytes:
    """The zip application; stored, since inflating costs more than reading."""
    from licenses import distributions, licences  # beside this file: where it is a script, that is all it takes
    from materials import materials

    from calico_rkt import __version__

    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        main = MAIN.read_text().replace("@build@", build).encode()
        archive.writestr(zipfile.ZipInfo("__main__.py", EPOCH), main)
        archive.writestr(zipfile.ZipInfo("__main__.pyc", EPOCH), bytecode("__main__.py", main))
        for name, path in (*files(), *extension()):
            if path.suffix == ".so":
                archive.writestr(zipfile.ZipInfo(name, EPOCH), stripped(path))
                continue
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes())
            if path.suffix == ".py":
                archive.writestr(zipfile.ZipInfo(name + "c", EPOCH), bytecode(name, path.read_bytes()))
        texts = ((f"licenses/{name}", text) for name, text in licences((*DEPENDENCIES, *AT_LEISURE)))
        for name, data in (*template_code(), *leisure_archives(), *share(), *texts):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
        archive.writestr(
            zipfile.ZipInfo(MATERIALS, EPOCH), materials(__version__, distributions((*DEPENDENCIES, *AT_LEISURE)))
        )
        archive.writestr(zipfile.ZipInfo("index", EPOCH), index(archive))
        at, length = places(archive)["index"]
        magic = importlib.util.MAGIC_NUMBER.hex()
        archive.comment = INDEXED.format(magic=magic, whole=0, at=at, length=length).encode()
    whole = INDEXED.format(magic=magic, whole=len(out.getvalue()), at=at, length=length).encode()
    return out.getvalue()[: -len(whole)] + whole


def index(archive: zipfile.ZipFile) -> bytes:
    """What a CNI call finds the files by, so that it need not read the zip's directory: their places, and who reads it.

    Sources are not among them: they are for another Python, and for tracebacks.
    """
    code = compile(INDEX.read_bytes(), INDEX.name, "exec", dont_inherit=True)
    found = {name: place for name, place in places(archive).items() if not name.endswith(".py")}
    return marshal.dumps((code, found))


def places(archive: zipfile.ZipFile) -> dict[str, tuple[int, int]]:
    """Where each file in the archive begins, and its length; they are stored as they are."""
    found = {}
    for info in archive.infolist():
        head = info.header_offset + zipfile.sizeFileHeader + len(info.filename.encode()) + len(info.extra)
        found[info.filename] = head, info.file_size
    return found


def start() -> str:
    """What the launcher has Python run for a CNI call."""
    return "\n".join(line for line in START.read_text().splitlines() if line and not line.startswith("#"))


def definitions(build: str) -> Iterator[str]:
    """What the launcher says and takes as Python does, as arguments of the C compiler."""
    sys.path.insert(0, str(ROOT / "src"))
    from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS
    from calico_rkt.compiler.conf.shape import LARGEST_CONF
    from calico_rkt.plugin.agent.wire import LARGEST_ENVIRON
    from calico_rkt.plugin.cni.result import NEWEST

    versions = ",".join(json.dumps(version) for version in SUPPORTED_VERSIONS)
    for name, text in (("BUILD", build), ("VERSIONS", versions), ("NEWEST", NEWEST), ("START", start())):
        yield f"-D{name}={json.dumps(text)}"
    yield f"-DLARGEST_CONF={LARGEST_CONF}"
    yield f"-DLARGEST_ENVIRON={LARGEST_ENVIRON}"


def compile_launcher(to: Path, build: str, flags: str = CFLAGS) -> None:
    """The launcher alone, by gcc or what CC names."""
    sources = sorted(map(str, LAUNCHER.glob("launcher*.c")))
    compiler = os.environ.get("CC", "gcc")
    subprocess.run([compiler, *flags.split(), *definitions(build), "-o", str(to), *sources], check=True)


def main() -> None:
    os.environ["COLUMNS"] = "100"  # argparse wraps its usage at the width of whoever builds
    DIST.mkdir(exist_ok=True)
    launcher = DIST / "launcher"
    build = build_id()
    compile_launcher(launcher, build)
    subprocess.run(["strip", str(launcher)], check=True)
    target = DIST / "calico"
    fresh = DIST / "calico.next"
    fresh.write_bytes(launcher.read_bytes() + application(build))
    fresh.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    fresh.replace(target)
    launcher.unlink()
    with zipfile.ZipFile(target) as inside:
        (DIST / MATERIALS).write_bytes(inside.read(MATERIALS))
    print(f"dist/calico: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
