"""A warm process: CNI calls as JSON lines on stdin, one JSON line each on stdout; the same code as the plugin's."""

from __future__ import annotations

import json
import sys
import time

from calico_rkt.plugin.calls.dispatch import serve
from calico_rkt.plugin.cni.request import parse_request
from calico_rkt.plugin.errors import CniError

for line in sys.stdin:
    call = json.loads(line)
    answers: list[object] = []
    begun = time.perf_counter()
    try:
        request = parse_request(call["env"], json.dumps(call["conf"]).encode())
        serve(request, answers.append)
    except CniError as e:
        answers.append({"code": e.code, "msg": e.msg, "details": e.details})
    print(json.dumps({"seconds": time.perf_counter() - begun, "answer": answers[0] if answers else None}), flush=True)
