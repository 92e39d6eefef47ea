"""Which worlds `apply` and `import` compare: what is published, and what would be."""

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Network, Rule
from calico_rkt.compiler.review.pair import HOST_DECIDES
from calico_rkt.compiler.review.parties import Kind
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.publish.effect import worlds_with
from calico_rkt.plugin.store.local import LocalStore

WEB = Network("web", "web", egress=(Rule(Action.ALLOW),))


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "run", tmp_path / "lib", verify=verify_calico_v3)
    made.publish(Published(WEB.id, WEB.name, write_calico_v3(WEB), digest(WEB)))
    yield made
    made.close()


@pytest.mark.parametrize("conf", [None, "local", "etcdv3"])
@pytest.mark.parametrize("kind", ["local", "etcdv3"])
def test_the_datastore_and_no_conf_says_who_decides_at_the_host(store, tmp_path, kind, conf):
    known = {"web": NetConf("web", "calico", "1.0.0", Ipam("dhcp"), datastore_type=conf, profiles_dir=str(tmp_path))}
    for world in worlds_with(store, known if conf else {}, (), kind):
        view = world.view(world.party(Kind.NETWORK, "web"), world.party(Kind.HOST))
        assert (HOST_DECIDES in view.stages[1].rules) is (kind == "etcdv3")
