"""Run by aerleon's own Python: a policy's folder as its argument; prints the seconds of its shade check alone."""

import contextlib
import logging
import sys
import time
from pathlib import Path

import yaml
from aerleon.lib import naming, policy, policy_builder

logging.disable(logging.WARNING)
folder = Path(sys.argv[1])
document = yaml.load((folder / "policies" / "bench.yaml").read_text(), Loader=yaml.CSafeLoader)
definitions = naming.Naming(str(folder / "definitions"))
builder = policy_builder.PolicyBuilder(document | {"filename": "bench"}, definitions, shade_check=False)
_, terms = policy.FromBuilder(builder).filters[0]
begin = time.perf_counter()
with contextlib.suppress(policy.ShadingError):
    policy.Policy._DetectShading(policy.FromBuilder(builder), terms)
print(time.perf_counter() - begin)
