"""Each store's endpoints have their enforcer."""

import subprocess
import sys

import pytest

from calico_rkt.plugin.enforce.enforcer import Enforcer, enforcer_of
from calico_rkt.plugin.enforce.felix import FelixEnforcer
from calico_rkt.plugin.enforce.nftables import NftablesEnforcer
from calico_rkt.plugin.store.etcd2.store import Etcd2Store
from calico_rkt.plugin.store.etcd3.store import Etcd3Store
from calico_rkt.plugin.store.local import LocalStore


@pytest.mark.parametrize(
    ("store", "enforcer"), [(LocalStore, NftablesEnforcer), (Etcd3Store, FelixEnforcer), (Etcd2Store, FelixEnforcer)]
)
def test_each_store_has_its_enforcer(store, enforcer):
    made = store.__new__(store)  # nothing is opened, and none is asked
    found = enforcer_of(made)
    assert type(found) is enforcer
    assert found.store is made


def test_who_is_given_no_store_is_told():
    with pytest.raises(TypeError, match="nobody enforces what is in a object"):
        enforcer_of(object())


def test_both_can_do_all_and_nothing_else():
    promised = {name for name in vars(Enforcer) if not name.startswith("_")}
    for enforcer in (NftablesEnforcer, FelixEnforcer):
        assert {name for name in vars(enforcer) if not name.startswith("_")} == promised | {"store"}


def test_an_endpoint_of_this_host_imports_nothing_of_clusters():
    code = """
import sys
from calico_rkt.plugin.enforce.enforcer import enforcer_of
from calico_rkt.plugin.store.local import LocalStore
enforcer_of(LocalStore.__new__(LocalStore))
print(*(m for m in sys.modules if m.endswith((".felix", ".felix_chains", ".clustered"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
