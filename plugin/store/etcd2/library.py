"""python-etcd as it is used here: without dnspython.

It imports dnspython for SRV records, which are never asked for here: 50 ms of each ADD that is a process of its own,
and 160 files more in dist/calico. Whoever else wants dnspython in this process gets the real one.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_STAND_INS = ("dns", "dns.resolver")


def _load() -> Any:  # noqa: ANN401 - python-etcd has no types
    there = {name: sys.modules[name] for name in _STAND_INS if name in sys.modules}
    for name in _STAND_INS:
        sys.modules[name] = there.get(name, ModuleType(name))
    try:
        import etcd
    finally:
        for name in _STAND_INS:
            if name not in there:
                del sys.modules[name]
    return etcd


etcd: Any = _load()
