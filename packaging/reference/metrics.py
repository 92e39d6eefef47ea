"""The agent's own answer in, the page of its metrics out."""

from __future__ import annotations

import re

from calico_rkt.plugin.agent.gauges import Gauges
from calico_rkt.plugin.agent.metrics import Metrics
from reference.markdown import code, table

_HEAD = """# Metrics

What `calico-rkt agent` answers at `/metrics` (`docs/agent.md`), in Prometheus' text format.

"""
_FAMILY = re.compile(r"^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$", re.MULTILINE)


def page() -> str:
    """Every family that the agent has; of a host with nothing on it, so that no number stands here."""
    text = Metrics().text(Gauges("").now(brief=True))
    rows = [(code(name), kind, words) for name, words, kind in _FAMILY.findall(text)]
    return _HEAD + table(("name", "type", "what it is"), rows)
