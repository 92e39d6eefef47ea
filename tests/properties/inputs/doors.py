"""Nothing in; every door where bytes come in from outside, with its share of all inputs that are tried, out."""

from __future__ import annotations

from tests.properties.inputs.agent import AGENT
from tests.properties.inputs.calls import CALLS
from tests.properties.inputs.cluster import ETCD, HTTP
from tests.properties.inputs.etcd2 import ETCD2
from tests.properties.inputs.launcher import LAUNCHER
from tests.properties.inputs.netlink_answers import NETLINK
from tests.properties.inputs.nft_listing import NFT
from tests.properties.inputs.policy import BUNDLE, OVERRIDE
from tests.properties.inputs.revisions import GIT

DOORS = (CALLS, OVERRIDE, BUNDLE, GIT, AGENT, NFT, NETLINK, ETCD, HTTP, ETCD2, LAUNCHER)
