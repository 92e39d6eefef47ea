"""Rounds of CNI calls as JSON lines on stdin, each a list; the calls of a round at once, in threads of one process."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from calico_rkt.plugin.calls.dispatch import serve
from calico_rkt.plugin.cni.request import parse_request
from calico_rkt.plugin.errors import CniError


def served(call: Any) -> Any:
    answers: list[object] = [None]
    try:
        request = parse_request(call["env"], json.dumps(call["conf"]).encode())
        serve(request, answers.append)
    except CniError as e:
        return {"code": e.code, "msg": e.msg, "details": e.details}
    return answers[-1]


with ThreadPoolExecutor(64) as pool:
    for line in sys.stdin:
        print(json.dumps(list(pool.map(served, json.loads(line)))), flush=True)
