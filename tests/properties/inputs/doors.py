"""Nothing in; every door where bytes come in from outside, with its share of all inputs that are tried, out."""

from __future__ import annotations

from tests.properties.inputs.agent import AGENT
from tests.properties.inputs.calls import CALLS
from tests.properties.inputs.cluster import ETCD, HTTP
from tests.properties.inputs.launcher import LAUNCHER
from tests.properties.inputs.policy import BUNDLE, OVERRIDE
from tests.properties.inputs.revisions import GIT

DOORS = (CALLS, OVERRIDE, BUNDLE, GIT, AGENT, ETCD, HTTP, LAUNCHER)
