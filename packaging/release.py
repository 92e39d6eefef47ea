"""A version in; a commit and a tag with it, and dist/ with all that is published and its checksums, out."""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
CODE = ROOT / "src" / "calico_rkt" / "__init__.py"
CHANGELOG = ROOT / "CHANGELOG"
UNRELEASED = "Unreleased\n"
_LINE = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)\Z", re.ASCII)


def git(*words: str) -> str:
    """What git says; the end where it fails."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"release: git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def today() -> str:
    """The day of SOURCE_DATE_EPOCH, or this one, as 2026-01-31."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    when = dt.datetime.fromtimestamp(int(told), dt.UTC) if told.isdecimal() else None
    return (when or dt.datetime.now(dt.UTC)).date().isoformat()


def refusals(version: str) -> list[str]:
    """Why this version can't be released from this tree; empty where it can."""
    found = []
    wanted = _VERSION.match(version)
    if not wanted:
        return [f"VERSION is {version!r}, which is no x.y.z"]
    now = _LINE.search(CODE.read_text())
    if now is None:
        return [f"{CODE.relative_to(ROOT)} has no line __version__ = ..."]
    before = _VERSION.match(now[1])
    tagged = f"v{now[1]}" in git("tag").split()
    if before and tuple(map(int, wanted.groups())) < tuple(map(int, before.groups())):
        found.append(f"{version} is older than the code's {now[1]}")
    if version == now[1] and tagged:
        found.append(f"{version} is released")
    if f"v{version}" in git("tag").split():
        found.append(f"there is a tag v{version}")
    if changed := git("status", "--porcelain"):
        found.append(f"the tree is not clean:\n{changed}")
    if not git("branch", "--show-current"):
        found.append("no branch is checked out, so the commit would belong to none")
    text = CHANGELOG.read_text()
    if not text.startswith(UNRELEASED):
        found.append("CHANGELOG does not begin with the line Unreleased")
    elif not text.removeprefix(UNRELEASED).partition("\n\n\n")[0].strip():
        found.append("CHANGELOG says nothing under Unreleased")
    return found


def run(*command: str) -> None:
    """Run a step; the end where it fails."""
    print(f"release: {' '.join(command)}", flush=True)
    if not shutil.which(command[0]) or subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(f"release: {' '.join(command)} failed; nothing was tagged")


def write(version: str) -> None:
    """The version where the code has it, and with the day as the head of what CHANGELOG says."""
    CODE.write_text(_LINE.sub(f'__version__ = "{version}"', CODE.read_text(), count=1))
    text = CHANGELOG.read_text().removeprefix(UNRELEASED)
    CHANGELOG.write_text(f"{version} ({today()})\n{text}")


def artefacts() -> None:
    """All that is published, in an empty dist/, and SHA256SUMS."""
    shutil.rmtree(DIST, ignore_errors=True)
    run("make", "binary", "deb")
    os.environ["SOURCE_DATE_EPOCH"] = git("log", "-1", "--format=%ct")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", ".")
    files = sorted(path for path in DIST.iterdir() if path.name != "SHA256SUMS")
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (DIST / "SHA256SUMS").write_text("".join(sums))
    sign(DIST / "SHA256SUMS")


def key() -> tuple[str, str]:
    """The key that git signs with, and its kind; both empty where it has none."""
    asked = (["git", "config", name] for name in ("user.signingkey", "gpg.format"))
    found, kind = (
        subprocess.run(a, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() for a in asked
    )
    return (found, kind or "openpgp") if found else ("", "")


def sign(path: Path) -> None:
    """PATH.asc by GnuPG or PATH.sig by OpenSSH, as git is configured; without a key neither."""
    found, kind = key()
    if kind == "openpgp":
        run("gpg", "--batch", "--yes", "--local-user", found, "--armor", "--detach-sign", str(path))
    elif kind == "ssh":
        run("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(Path(found).expanduser()), str(path))
    elif kind:
        sys.exit(f"release: git's gpg.format is {kind}, and SHA256SUMS is signed with openpgp or ssh only")


def main() -> None:
    parser = argparse.ArgumentParser(prog="release.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("version", metavar="VERSION", help="x.y.z")
    parser.add_argument("--dry-run", action="store_true", help="look, say what would be done, and do nothing")
    parser.add_argument("--gate", default="bash .ci/run", help="what has to succeed first (default: %(default)s)")
    args = parser.parse_args()
    if found := refusals(args.version):
        sys.exit("release: " + "\nrelease: ".join(found))
    head, branch = git("rev-parse", "HEAD"), git("branch", "--show-current")
    words = f"of the tag and of SHA256SUMS by {key()[0]}" if key()[0] else "none: git has no user.signingkey"
    steps = (
        f"{args.gate}                                    has to succeed",
        f"{CODE.relative_to(ROOT)}, CHANGELOG            {args.version}, {today()}",
        f"git commit, git tag v{args.version}            on {branch}, not pushed",
        "dist/                                           calico, deb, wheel, sdist, sbom.cdx.json, SHA256SUMS",
        f"signature                                       {words}",
    )
    print("\n".join(f"release: {' '.join(step.split())}" for step in steps))
    if args.dry_run:
        return
    run(*args.gate.split())
    if git("status", "--porcelain") or git("rev-parse", "HEAD") != head:
        sys.exit("release: the tree changed meanwhile; nothing was tagged")
    write(args.version)
    try:
        git("commit", "-q", "-a", "-m", f"Release {args.version}")
        git("tag", "-s" if key()[0] else "-a", f"v{args.version}", "-m", f"calico-rkt {args.version}")
        artefacts()
    except BaseException:
        subprocess.run(["git", "tag", "-d", f"v{args.version}"], cwd=ROOT, capture_output=True, check=False)
        git("reset", "-q", "--hard", head)  # the tree was clean: all that is lost is what write() wrote
        print("release: taken back: no tag, no commit", file=sys.stderr)
        raise
    print(f"release: {args.version} is in dist/. To publish: git push origin {branch} v{args.version}")


if __name__ == "__main__":
    main()
