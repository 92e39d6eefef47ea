"""A warm process: commands for people as JSON lists on stdin, status and words as a JSON line each on stdout."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

from calico_rkt.plugin.commands.tree import main

for line in sys.stdin:
    said, begun = io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(json.loads(line))
    told = {"status": status, "said": said.getvalue(), "seconds": time.process_time() - begun}
    print(json.dumps(told), file=sys.__stdout__, flush=True)
