"""A warm process: `plan NAME` and `swap NAME` as lines in; what files would change, kept, or done as apply does, out.

What is left out of `apply` is its interpreter's start, the compiling and the review, which decide on no packet.
"""

from __future__ import annotations

import sys

from calico_rkt.plugin.publish.changes import ProfileChange
from calico_rkt.plugin.publish.datastores import opened_local
from calico_rkt.plugin.publish.host_confs import decided

planned: dict[str, tuple[ProfileChange, ...]] = {}
for line in sys.stdin:
    what, name = line.split()
    found = decided(None, None) if what == "plan" else None
    with opened_local(found.known if found else {}, found.files if found else {}) as local:
        if found:
            planned[name] = local.plan()
        else:
            local.apply(planned[name])
    print(len(planned[name]), flush=True)
