"""The attach path beside ptp with host-local: what issue-sized bounds are about, as rows."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from calico_rkt.plugin.enforce.nft import libnftables
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store import local
from calico_rkt.plugin.store.addresses import encode_address
from calico_rkt.plugin.store.rows import insert_endpoint
from tests.bench import cluster, flows
from tests.bench.host import OURS, PEER, ROOT, Agent, agent, at_once, call, conf, netns, wall
from tests.bench.workloads import hierarchical, override

ROUNDS = 40
BURSTS = 30
AT_ONCE = 16
ENDPOINTS, LEASES = 2000, 60_000
LOAD_CLIENTS, LOAD_CALLS = 16, 2000
IDLE_SECONDS = 5.0
SETTLE = 0.06
FLUSHES = 7
FIRST_ADD = 2.0
CHAIN = 10


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of ours and the peer's in milliseconds (or what unit says), and the bound of their ratio."""

    what: str
    ours: float
    peer: float
    bound: float
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        return self.ours / self.peer


@dataclass(frozen=True, slots=True)
class Fact:
    """What is not a ratio: words, and whether they are what was promised."""

    what: str
    words: str
    holds: bool


def rows(say: Callable[[Row | Fact], None]) -> None:
    """Everything, each row said as soon as it is there."""
    _without_an_agent(say)
    say(_first_of_many_rules())
    with agent():
        _with_etcd(say)
    with agent() as warm:
        _one_by_one(say)
        _back_to_back(say)
        _together(say)
        _load(say, warm)
        _full_pool(say)
        _idle(say, warm)
        _with_flows(say)
        _many_endpoints(say, warm)


def medians(work: Sequence[Callable[[int], float]], rounds: int = ROUNDS) -> list[float]:
    """The median of each, in milliseconds, taken in turn after one uncounted round.

    Between two the kernel gets time to finish: it ends a removal 10 to 30 ms after the link is out, with a lock in its
    hands, and whoever comes next would be charged for it.
    """
    figures = [[_settled(one, i) for one in work] for i in (rounds, *range(rounds))]
    return [statistics.median(column[1:]) * 1e3 for column in zip(*figures, strict=True)]


def _settled(one: Callable[[int], float], number: int) -> float:
    took = one(number)
    time.sleep(SETTLE)
    return took


def _first_of_many_rules() -> Fact:
    """A first ADD compiles, proves and publishes its network: nobody has done it before."""
    figures = []
    with TemporaryDirectory() as folder:
        for n in range(3):
            name = f"long{n}"
            text = override(hierarchical(1000), name)
            Path(folder, f"{name}.yaml").write_text(text)
            netns("add", [name])
            net = conf("calico", name, f"10.{93 + n}.0.0/16", profiles_dir=folder)
            figures.append(call(OURS, "ADD", net, name))
            call(OURS, "DEL", net, name)
            netns("del", [name])
    took = statistics.median(figures)
    return Fact("first ADD of a network of 1,000 rules, alone", f"{took:.2f} s, at most 2", holds=took <= FIRST_ADD)


def _without_an_agent(say: Callable[[Row | Fact], None]) -> None:
    version = {"CNI_COMMAND": "VERSION"}
    ours, peer = medians([lambda _: wall(str(OURS), env=version), lambda _: wall(str(PEER), env=version)])
    say(Row("VERSION / ptp's", ours, peer, 0.5))
    net = str(ROOT / "docs/examples/two-networks/web.conf")
    ours, peer = medians(
        [
            lambda _: wall(str(OURS), "compile", net),
            lambda _: wall(sys.executable, "-c", "import jinja2, yaml"),
        ]
    )
    say(Row("calico-rkt compile / python3 -c 'import jinja2, yaml'", ours, peer, 1.4))
    mine = conf("calico", "alone", "10.91.0.0/16")
    names = [f"alone{i}" for i in range(ROUNDS + 1)]
    netns("add", names)
    add, peer, delete = medians(
        [
            lambda i: call(OURS, "ADD", mine, names[i]),
            lambda _: wall(sys.executable, "-c", "import pyroute2"),
            lambda i: call(OURS, "DEL", mine, names[i]),
        ]
    )
    say(Row("one-shot ADD / python3 -c 'import pyroute2'", add, peer, 1.3))
    say(Row("one-shot DEL / the same", delete, peer, 1.3))
    netns("del", names)


def _pairs(ours: bytes, peer: bytes, prefix: str, rounds: int = ROUNDS) -> list[float]:
    """Medians of our ADD, the peer's, our DEL, the peer's."""
    names = [f"{prefix}{i}" for i in range(rounds + 1)]
    netns("add", [*names, *(f"{n}p" for n in names)])
    found = medians(
        [
            lambda i: call(OURS, "ADD", ours, names[i]),
            lambda i: call(PEER, "ADD", peer, f"{names[i]}p"),
            lambda i: call(OURS, "DEL", ours, names[i]),
            lambda i: call(PEER, "DEL", peer, f"{names[i]}p"),
        ],
        rounds,
    )
    netns("del", [*names, *(f"{n}p" for n in names)])
    return found


def _one_by_one(say: Callable[[Row | Fact], None]) -> None:
    ours, peer = conf("calico", "bench", "10.92.0.0/16"), conf("ptp", "peer", "10.93.0.0/16")
    add, peer_add, delete, peer_delete = _pairs(ours, peer, "one")
    say(Row("ADD / ptp with host-local", add, peer_add, 0.4))
    say(Row("DEL / ptp with host-local", delete, peer_delete, 0.95))


def _back_to_back(say: Callable[[Row | Fact], None]) -> None:
    """With no pause at all, so that what the kernel still has to do after a DEL counts, too."""
    ours, peer = conf("calico", "chain", "10.104.0.0/16"), conf("ptp", "peer-chain", "10.105.0.0/16")
    netns("add", ["chain", "chainp"])

    def chain(binary: Path, given: bytes, name: str) -> float:
        begun = time.perf_counter()
        for _ in range(CHAIN):
            call(binary, "ADD", given, name)
            call(binary, "DEL", given, name)
        return (time.perf_counter() - begun) / CHAIN

    mine, theirs = medians([lambda _: chain(OURS, ours, "chain"), lambda _: chain(PEER, peer, "chainp")], 10)
    say(Row("ADD and DEL back to back, one container / ptp's", mine, theirs, 1.0))
    netns("del", ["chain", "chainp"])


def _together(say: Callable[[Row | Fact], None]) -> None:
    ours, peer = conf("calico", "burst", "10.94.0.0/16"), conf("ptp", "peer-burst", "10.95.0.0/16")
    mine = [f"b{i}" for i in range(AT_ONCE)]
    theirs = [f"p{i}" for i in range(AT_ONCE)]

    def fresh(_: int) -> float:
        netns("add", [*mine, *theirs])
        return 0.0

    def gone(_: int) -> float:
        netns("del", [*mine, *theirs])
        return 0.0

    _, add, peer_add, delete, peer_delete, _ = medians(
        [
            fresh,
            lambda _: at_once(OURS, "ADD", ours, mine),
            lambda _: at_once(PEER, "ADD", peer, theirs),
            lambda _: at_once(OURS, "DEL", ours, mine),
            lambda _: at_once(PEER, "DEL", peer, theirs),
            gone,
        ],
        BURSTS,
    )
    say(Row(f"{AT_ONCE} ADDs at once, wall / ptp's", add, peer_add, 0.4))
    say(Row(f"{AT_ONCE} DELs at once, wall / ptp's", delete, peer_delete, 0.4))


def _load(say: Callable[[Row | Fact], None], warm: Agent) -> None:
    """Many calls from many clients; what fails ends the bench."""
    ours = conf("calico", "load", "10.96.0.0/16")
    names = [f"load{i}" for i in range(LOAD_CLIENTS)]
    netns("add", names)
    for _ in range(LOAD_CALLS // LOAD_CLIENTS // 4):
        at_once(OURS, "ADD", ours, names)
        at_once(OURS, "DEL", ours, names)
    before = warm.memory()
    begun = time.perf_counter()
    for _ in range(LOAD_CALLS // LOAD_CLIENTS):
        at_once(OURS, "ADD", ours, names)
        at_once(OURS, "DEL", ours, names)
    took = time.perf_counter() - begun
    grown = warm.memory() - before
    netns("del", names)
    left = _left()
    words = f"0 failed, {left} left, memory grew by {grown:.1f} MB; {2 * LOAD_CALLS / took:.0f} calls a second"
    say(Fact(f"{LOAD_CALLS:,} ADDs and DELs from {LOAD_CLIENTS} clients", words, not left and grown < 2))


def _flushed(where: str, network: str) -> Fact:
    """How long the agent leaves this host open, and how long until all is as it was, after somebody's flush."""
    opened, whole = [], []
    for _ in range(FLUSHES):
        libnftables.run_nft("flush ruleset\n")  # the program of that name would go on for 10 ms after it
        begun = time.perf_counter()
        opened.append(_until(lambda: bool(libnftables.list_json("list tables inet")), begun))
        whole.append(_until(lambda: any(o.get("chain", {}).get("name") == f"in-{network}" for o in _chains()), begun))
        time.sleep(SETTLE)
    said = (
        f"open {statistics.median(opened):.1f} ms (longest {max(opened):.1f}), whole {statistics.median(whole):.0f} ms"
    )
    return Fact(f"flush ruleset with an agent and {where}", f"{said} after it", holds=True)


def _chains() -> tuple[dict[str, Any], ...]:
    return libnftables.list_json("list chains inet")


def _until(claim: Callable[[], bool], begun: float) -> float:
    """Milliseconds until it holds; looked at again and again."""
    while not claim():
        if time.perf_counter() - begun > 30:
            sys.exit("bench: the agent did not build the table anew")
    return (time.perf_counter() - begun) * 1e3


def _left() -> int:
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    store = local.open_local()
    try:
        return sum(link["ifname"].startswith("crk") for link in links) + len(store.endpoints())
    finally:
        store.close()


def _with_etcd(say: Callable[[Row | Fact], None]) -> None:
    with cluster.etcd() as missing:
        if missing:
            return say(Fact("ADD and DEL with etcd", missing, holds=False))
        for kind, ours, theirs in (("etcdv3", "10.97.0.0/16", 98), ("etcdv2", "10.99.0.0/16", 100)):
            mine = conf("calico", f"bench-{kind}", ours, **cluster.KEYS, datastore_type=kind)
            peer = conf("ptp", f"peer-{kind}", f"10.{theirs}.0.0/16")
            add, peer_add, delete, peer_delete = _pairs(mine, peer, f"{kind}-", 30)
            say(Row(f"ADD, {kind} / ptp with host-local", add, peer_add, 1.0))
            say(Row(f"DEL, {kind} / ptp with host-local", delete, peer_delete, 1.0))
    return None


def _full_pool(say: Callable[[Row | Fact], None]) -> None:
    """What costs in a full pool is to find a free address."""
    empty, full = conf("calico", "empty", "10.101.0.0/16"), conf("calico", "full", "10.102.0.0/16")
    netns("add", ["first"])
    call(OURS, "ADD", full, "first")
    fill("full", "10.102.0.0/16")
    names = [f"fill{i}" for i in range(ROUNDS + 1)]
    netns("add", names)
    many, few, *_ = medians(
        [
            lambda i: _added_and_removed(full, names[i]),
            lambda i: _added_and_removed(empty, names[i]),
        ]
    )
    say(Row(f"ADD, a /16 with {LEASES:,} taken / an empty one", many, few, 1.2))
    netns("del", names)
    call(OURS, "DEL", full, "first")
    store = local.open_local()
    for endpoint in store.endpoints("full"):
        store.remove(endpoint.key, endpoint.nonce)
    store.close()


def fill(network: str, subnet: str) -> None:
    """Leases without links, as full as a pool may get."""
    store = local.open_local()
    hosts = ip_network(subnet).hosts()
    taken = {a for e in store.endpoints(network) for a in e.addresses}
    with store._state.write() as db:
        last = None
        for i, address in zip(range(LEASES), (a for a in hosts if a not in taken), strict=False):
            key, last = Key(network, f"full{i}", "eth0"), address
            mac = "02:00:00:00:00:00"
            insert_endpoint(db, Endpoint(key, "0" * 16, "/run/netns/none", 0, 0, f"crk{i:012x}", mac, (address,)))
        assert last is not None
        db.execute("INSERT OR REPLACE INTO cursors VALUES (?, 0, ?)", (network, encode_address(last)))
    store.close()


def _added_and_removed(ours: bytes, name: str) -> float:
    took = call(OURS, "ADD", ours, name)
    call(OURS, "DEL", ours, name)
    return took


def _idle(say: Callable[[Row | Fact], None], warm: Agent) -> None:
    time.sleep(0.5)
    ticks, switches = warm.ticks(), warm.switches()
    time.sleep(IDLE_SECONDS)
    used, woken = warm.ticks() - ticks, warm.switches() - switches
    words = f"{used * 10} ms of processor time, its threads woken {woken} times in {IDLE_SECONDS:.0f} s"
    say(Fact("the agent, idle", words, not used and not woken))


def _with_flows(say: Callable[[Row | Fact], None]) -> None:
    """What costs is to look into conntrack, which neither ADD nor DEL does."""
    for verb, many, few in flows.pairs(medians, ROUNDS):
        say(Row(f"{verb} with {flows.FLOWS:,} flows of both families / with none", many, few, 1.3))


def _many_endpoints(say: Callable[[Row | Fact], None], warm: Agent) -> None:
    ours = conf("calico", "many", "10.103.0.0/16")
    names = [f"few{i}" for i in range(ROUNDS + 1)]
    netns("add", names)
    (few,) = medians([lambda i: _added_and_removed(ours, names[i])])
    many = [f"many{i}" for i in range(ENDPOINTS)]
    netns("add", many)
    for done, name in enumerate(many):
        if sys.stderr.isatty() and done % 50 == 0:
            print(f"\rattaching {done} of {ENDPOINTS}", end="", file=sys.stderr)
        call(OURS, "ADD", ours, name)
    (later,) = medians([lambda i: _added_and_removed(ours, names[i])])
    say(Row(f"ADD with {ENDPOINTS:,} endpoints attached / with none", later, few, 1.2))
    memory = warm.memory()
    say(_flushed(f"{ENDPOINTS:,} endpoints", "many"))
    say(Fact(f"the agent's memory at {ENDPOINTS:,} endpoints", f"{memory:.0f} MB", memory < 50))
