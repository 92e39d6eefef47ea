"""Nothing in; what a real kernel and libnftables answered, to be damaged, out: recorded once, in kernel_said.json."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

_KEPT = json.loads((Path(__file__).parent / "kernel_said.json").read_text())
LISTINGS: list[dict[str, Any]] = _KEPT["listings"]
"""`nft -j list ruleset` with numbers and with names: a table of ours, and three of others."""
DATAGRAMS: dict[str, list[bytes]] = {k: [b64decode(d) for d in found] for k, found in _KEPT["datagrams"].items()}
"""By the question (kind of message, whether all are asked for, family) the datagrams that answered it."""
