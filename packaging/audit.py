"""The locked packages in; what is known to be vulnerable of them out, where that can be asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "packaging" / "locks" / "dev.txt"
"""All that is in the other locks, too (tests/unit/test_locks.py)."""
SECONDS = 300
_AWAY = re.compile(r"ConnectionError|Failed to resolve|Max retries|[Tt]imed out|[Tt]imeout")
"""How pip-audit's last words tell that nobody answered."""


def asked() -> tuple[list[dict[str, object]], str]:
    """What pip-audit says of each package; where nobody answers, nothing, and why. Ends where it fails otherwise."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--require-hashes", "--disable-pip", "-f", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return [], f"no answer in {SECONDS} s"
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        words = (done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"])[-1]
        if not _AWAY.search(done.stderr):
            print(f"audit: {words}", file=sys.stderr)
            sys.exit(2)
        return [], words


def main() -> int:
    """0: nothing is known, or nobody could be asked; 1: something is; 2: pip-audit failed."""
    packages, why = asked()
    known = [p for p in packages if "skip_reason" not in p]
    if not known:
        print(f"audit: skipped, the data of vulnerabilities can't be reached here: {why or packages[0]['skip_reason']}")
        return 0
    for package in (p for p in packages if "skip_reason" in p):
        print(f"audit: {package['name']} was not looked at: {package['skip_reason']}")
    found = [(p, v) for p in known for v in p["vulns"]]
    for package, one in found:
        fixed = ", ".join(one["fix_versions"]) or "no version yet"
        print(f"packaging/locks/dev.txt: {package['name']} {package['version']}: {one['id']}, mended in {fixed}")
    print(f"audit: {len(known)} packages, {len(found)} known vulnerabilities")
    if found:
        print("audit: raise the version in pyproject.toml, or make lock UPGRADE=1, and run the tests")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
