"""dist/calico in, dist/calico-rkt_VERSION_ARCH.deb out: what `calico-rkt install` puts, as a Debian package."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
DEBIAN = ROOT / "packaging" / "debian"
MATERIALS = "sbom.cdx.json"
EPOCH = 315532800
"""1980, as in the zip: where no commit says when."""
VERSION = re.compile(r"[0-9][0-9A-Za-z.+~]*\Z")
_HOLDER = re.compile(r"^[^\n]*Copyright[ :].*$", re.MULTILINE)
TOOLS = {"dh": "debhelper", "dpkg-buildpackage": "dpkg-dev"}


def git(*words: str) -> str:
    """What git says of this tree; empty where it is none."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def version() -> str:
    """The code's version; between releases with the commit's date and name behind it."""
    text = (ROOT / "src" / "calico_rkt" / "__init__.py").read_text()
    number = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if number is None:
        sys.exit("deb: src/calico_rkt/__init__.py has no __version__")
    commit = git("log", "-1", "--format=%cd.g%h", "--date=format:%Y%m%d%H%M")
    released = f"v{number[1]}" in git("tag", "--points-at", "HEAD").split()
    return number[1] if released or not commit else f"{number[1]}+git{commit}"


def when() -> int:
    """Seconds of the Unix epoch that stand for this tree: SOURCE_DATE_EPOCH, else the commit's."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if told and not told.isdecimal():
        sys.exit(f"deb: SOURCE_DATE_EPOCH is {told!r}, which is no number of seconds")
    return int(told or git("log", "-1", "--format=%ct") or EPOCH)


def is_ours(path: Path) -> bool:
    """Whether it is a build of this program."""
    try:
        with zipfile.ZipFile(path) as inside:
            return "calico_rkt/plugin/main.py" in inside.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def staged(folder: Path, plugin: Path, number: str) -> Path:
    """A source package in a folder: debian/ with its changelog, the installer, the plugin, the pages."""
    top = folder / f"calico-rkt-{number}"
    shutil.copytree(DEBIAN, top / "debian")
    shutil.copy(DIST / "calico", top / "installer")
    shutil.copy(plugin, top / "calico")
    with zipfile.ZipFile(plugin) as inside:
        if MATERIALS in inside.namelist():  # builds of before have none
            (top / MATERIALS).write_bytes(inside.read(MATERIALS))
            with (top / "debian" / "docs").open("a") as docs:
                docs.write(f"{MATERIALS}\n")
    shutil.copy(ROOT / "README.md", top / "README.md")
    shutil.copytree(ROOT / "docs", top / "docs")
    shutil.copy(ROOT / "CHANGELOG", top / "docs" / "CHANGELOG")
    with (top / "debian" / "copyright").open("a", encoding="utf-8") as known:
        known.write("".join(bundled()))
    maintainer = re.search(r"^Maintainer: (.*)$", (DEBIAN / "control").read_text(), re.MULTILINE)
    (top / "debian" / "changelog").write_text(
        f"calico-rkt ({number}) unstable; urgency=medium\n\n"
        "  * What changed for users: /usr/share/doc/calico-rkt/CHANGELOG.gz\n\n"
        f" -- {maintainer[1] if maintainer else ''}  {formatdate(when())}\n"
    )
    for path in (top, *top.rglob("*")):
        os.utime(path, (when(), when()), follow_symlinks=False)
    return top


def bundled() -> Iterator[str]:
    """What dist/calico bundles, as paragraphs of debian/copyright."""
    with zipfile.ZipFile(DIST / "calico") as inside:
        for path in sorted(name for name in inside.namelist() if name.startswith("licenses/")):
            _, name, _ = path.split("/")
            text = _in_common(inside.read(path).decode())
            if name != "calico-rkt":
                lines = (f" {line}".rstrip() if line.strip() else " ." for line in text.strip().splitlines())
                holders = (" ".join(m[0].split()) for m in _HOLDER.finditer(text))
                yield (
                    f"\nFiles: bundled/{name}/*\nCopyright: {'; '.join(holders) or 'see the text of its licence'}\n"
                    f"License: {name}\n" + "\n".join(lines) + "\n"
                )


def _in_common(text: str) -> str:
    """A licence that every Debian system has a copy of is named by that, as Debian's policy asks (12.5)."""
    for begin, version, name in (
        ("Apache License", "Version 2.0", "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE", "Version 2,", "GPL-2"),
    ):
        if begin in text[:400] and version in text[:400]:
            return f"On Debian systems the text is in /usr/share/common-licenses/{name}."
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="deb.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--plugin", type=Path, default=DIST / "calico", help="package this build of the plugin")
    parser.add_argument("--version", default="", help="the package's version (default: the code's, and the commit)")
    parser.add_argument("--to", type=Path, default=DIST, metavar="DIR", help="put it there (default: dist)")
    args = parser.parse_args()
    number = args.version or version()
    if not VERSION.match(number):
        sys.exit(f"deb: {number!r} is no version of a Debian package, such as 1.2.3")
    for path in (DIST / "calico", args.plugin):
        if not is_ours(path):
            sys.exit(f"deb: {path} is no build of calico-rkt: make binary")
    if lacking := [package for tool, package in TOOLS.items() if not shutil.which(tool)]:
        sys.exit(f"deb: these Debian packages are missing: {' '.join(lacking)}: packaging/setup.sh deb")
    args.to.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        build(staged(Path(folder), args.plugin.resolve(), number))
        for package in Path(folder).glob("*.deb"):
            shutil.copy(package, args.to / package.name)
            print(f"{args.to / package.name}: {package.stat().st_size / 1e6:.1f} MB")


def build(top: Path) -> None:
    """Run Debian's tools; the package stands beside the folder."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when()), "DEB_BUILD_OPTIONS": "nocheck noautodbgsym"}
    command = ["dpkg-buildpackage", "-b", "-us", "-uc", "-d"]
    done = subprocess.run(command, cwd=top, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}deb: dpkg-buildpackage ended with {done.returncode}")


if __name__ == "__main__":
    main()
