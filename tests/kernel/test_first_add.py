"""A network's first ADD compiles before it takes the lock, and looks again under it."""

from __future__ import annotations

import fcntl
import json
import os
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.conf.netconf import Ipam
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.plugin.agent import mend
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.commands import attest
from calico_rkt.plugin.enforce import compiled, differences
from calico_rkt.plugin.enforce import local as policy
from calico_rkt.plugin.enforce.compiled import elements_of
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.nftables import NftablesEnforcer
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.publish.local import Local
from calico_rkt.plugin.store.local import LocalStore, _verify
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held
from tests.kernel.support.attested import reviewed

pytestmark = pytest.mark.kernel


@pytest.fixture
def store(lab, tmp_path):
    os.chmod(tmp_path, 0o700)  # noqa: PTH101 - the state file's folder has to be root's alone
    made = LocalStore(tmp_path / "run", tmp_path / "lib", _verify)
    with w.inside(lab.host):
        yield made
    made.close()


@pytest.fixture
def profiles(tmp_path):
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


def conf(profiles, name="web", subnet="10.1.0.0/24"):
    ipam = {"type": "host-local", "subnet": subnet}
    given = {"cniVersion": "1.0.0", "name": name, "type": "calico", "profiles_dir": str(profiles), "ipam": ipam}
    return parse_conf(json.dumps(given).encode(), "net.conf", preview=False)[0]


def recorded(store, n, network="web", ipam=Ipam(type="delegated")):  # noqa: B008 - a value
    endpoint = Endpoint(
        key=Key(network, f"c{n}", "eth0"),
        nonce=f"{n:016x}",
        netns="/n",
        netns_dev=1,
        netns_inode=n,
        host_ifname=f"crk{n:012x}",
        mac="02:00:00:00:00:01",
        addresses=() if ipam.ranges else (ip_address("10.1.0.0") + n,),
        ip_masq=False,
    )
    return store.add(endpoint, ipam, ())


def is_free(store):
    fd = os.open(store.run_dir / "policy.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


@pytest.mark.parametrize(
    ("module", "step"), [(compiled, "compile_published"), (policy, "policy_script"), (policy, "blocked_forwarding")]
)
def test_nobody_waits_for_what_a_first_add_reads_and_compiles(store, profiles, monkeypatch, module, step):
    real, seen = getattr(module, step), []

    def watched(*given, **more):
        seen.append(is_free(store))
        return real(*given, **more)

    monkeypatch.setattr(module, step, watched)
    NftablesEnforcer(store).attach(conf(profiles), recorded(store, 1))  # the table is not there
    NftablesEnforcer(store).attach(conf(profiles, "api"), recorded(store, 2, "api"))  # it is, the network is not
    assert seen == [True, True]
    assert {n.network_id for n in table.live_networks()} == {"web", "api"}


def test_an_apply_while_a_first_add_makes_its_chains_ready_wins(store, profiles, monkeypatch):
    NftablesEnforcer(store).attach(conf(profiles, "api"), recorded(store, 1, "api"))
    real, done = policy.policy_script, []

    def raced(published):
        ready = real(published)
        if not done:
            done.append(1)
            (profiles / "web.yaml").write_text("network: web\negress: []\n")
            changes = Local(store, {"web": conf(profiles)}).plan()
            assert len(changes) == 1
            Local(store, {}).apply(changes)
        return ready

    monkeypatch.setattr(policy, "policy_script", raced)
    NftablesEnforcer(store).attach(conf(profiles), recorded(store, 2))
    published = store.published("web")
    assert {n.network_id: n.digest for n in table.live_networks()}["web"] == published.digest
    assert held.missing(elements_of(recorded(store, 3))) != []


def test_a_first_add_whose_files_do_not_compile_publishes_nothing(store, profiles):
    (profiles / "web.yaml").write_text("network: web\negress: [{action: Alow}]\n")
    with pytest.raises(CniError, match="does not compile"):
        NftablesEnforcer(store).attach(conf(profiles), recorded(store, 1))
    assert store.published_ids() == ()


def test_a_chain_that_somebody_gave_another_name_is_replaced_for_all_of_its_endpoints(store, profiles):
    first = recorded(store, 1)
    NftablesEnforcer(store).attach(conf(profiles), first)
    libnftables.run_nft("rename chain inet calico_rkt out-web elsewhere")
    second = recorded(store, 2)
    NftablesEnforcer(store).attach(conf(profiles), second)
    assert held.missing(elements_of(first)) == []
    assert held.missing(elements_of(second)) == []
    assert "elsewhere" not in libnftables.listed("list table inet calico_rkt")


def test_what_differs_is_told_also_while_somebody_holds_the_lock(store, profiles, monkeypatch):
    NftablesEnforcer(store).attach(conf(profiles), recorded(store, 1))
    libnftables.run_nft("insert rule inet calico_rkt in-web accept")
    monkeypatch.setattr(differences, "_PATIENCE", 0.2)
    fd = os.open(store.run_dir / "policy.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    found = differences.kernel_differences(store)
    os.close(fd)
    assert found[0] == "chain in-web, rule 1: `accept` should not be there"
    assert "seen while a call may have been at work" in found[-1]
    assert differences.kernel_differences(store) == found[:-1]


SUBNETS = ("10.2.0.0/24", "10.1.1.0/24")
"""Apart from the other network's, and its neighbour: nft makes one element of the two."""


@pytest.mark.parametrize("subnet", SUBNETS)
def test_a_first_add_under_way_differs_in_nothing(store, profiles, monkeypatch, subnet):
    first, second = conf(profiles, "api"), conf(profiles, "web", subnet)
    for made, name in ((first, "api"), (conf(profiles, "db", "10.9.0.0/24"), "db")):
        known = recorded(store, len(name), name, made.ipam)
        NftablesEnforcer(store).attach(made, known)
        store.finish(known.key, known.nonce, "{}")
    before = differences._found(store)  # no links are made here: they are told
    assert before
    assert not any("pools" in line for line in before)
    real, seen = policy.policy_script, []

    def looked(published):
        seen.append((differences._found(store), attested()))
        assert mend._is_whole(store)  # or the agent would build all of the table anew at the next news
        return real(published)

    networks = reviewed(profiles.parent / "net.d", {n: f"network: {n}\n" for n in ("api", "db", "web")}, w.nets(subnet))

    def attested():
        return attest._of(*attest._looked(Wanted(networks, ()), store)).differences

    monkeypatch.setattr(policy, "policy_script", looked)
    as_before = (before, attested())
    endpoint = recorded(store, 5, "web", second.ipam)
    assert (differences._found(store), attested()) == as_before
    NftablesEnforcer(store).attach(second, endpoint)
    assert seen == [as_before]
    assert (differences._found(store), attested()) == as_before
    libnftables.run_nft("flush set inet calico_rkt pools4")
    told = next(d.what for d in attested() if "pools4 lacks" in d.what)
    assert {"10.2.0.0/24": subnet, "10.1.1.0/24": "10.1.0.0/23"}[subnet] in told, "its endpoint is in the table"
    table.set_ranges(store.ranges())
    table.remove_endpoint(elements_of(endpoint))
    assert (differences._found(store), attested()) == as_before
    libnftables.run_nft("flush set inet calico_rkt pools4")
    (lacks,) = (line for line in differences._found(store) if "pools4" in line)
    assert lacks.startswith("set pools4 lacks 10.1.0.0")
