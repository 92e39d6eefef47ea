"""A word means one container, one network or addresses; what could be two is asked about."""

from ipaddress import ip_network

import pytest

from calico_rkt.plugin.containers.listed import Row
from calico_rkt.plugin.containers.meant import Kind, meant
from calico_rkt.plugin.errors import CniError


def row(container, network, address, name="", state="attached"):
    return Row(network, container, name, "eth0", (address,), "", f"crk{address}", "", "local", state, "in step")


ROWS = [
    row("aaaa11", "web", "10.1.0.1", "shop"),
    row("aaaa11", "back", "10.2.0.1", "shop"),
    row("aaaa22", "web", "10.1.0.2", "prod/api"),
    row("bbbb33", "web", "10.1.0.3", "db"),
    row("cccc44", "web", "10.1.0.4", "db"),
    row("dddd55", "web", "10.1.0.5", "web"),
    row("eeee66", "old", "10.3.0.1", "dead", state="gone"),
]


@pytest.mark.parametrize(
    ("word", "addresses"),
    [
        ("shop", {"10.1.0.1", "10.2.0.1"}),
        ("aaaa1", {"10.1.0.1", "10.2.0.1"}),
        ("api", {"10.1.0.2"}),
        ("prod/api", {"10.1.0.2"}),
        ("10.1.0.3", {"10.1.0.3"}),
        ("container:web", {"10.1.0.5"}),
        ("cccc44", {"10.1.0.4"}),
    ],
)
def test_a_container_is_meant_by_name_id_or_address(word, addresses):
    end = meant(word, ROWS)
    assert (end.kind, {a for r in end.rows for a in r.addresses}) == (Kind.CONTAINER, addresses)


def test_a_network_goes_before_a_container_and_may_have_no_endpoint():
    assert len(meant("web", ROWS).rows) == 5
    assert meant("web", ROWS).kind is Kind.NETWORK
    assert meant("new", ROWS, ["new"]).rows == ()
    assert meant("old", ROWS).rows == ()
    assert str(meant("network:back", ROWS)) == "network back (1 endpoint)"


def test_what_is_nobody_s_here_is_addresses_outside_or_host():
    assert meant("192.0.2.0/24", ROWS).net == ip_network("192.0.2.0/24")
    assert [str(meant(w, ROWS)) for w in ("192.0.2.7", "fd00::/8", "outside", "host")] == [
        "192.0.2.7",
        "fd00::/8",
        "the outside",
        "the host",
    ]


@pytest.mark.parametrize(
    ("word", "message", "details"),
    [
        ("aaaa", "'aaaa' may be one of several containers: aaaa11 (shop, back), aaaa11 (shop, web), aaaa22", "more of"),
        ("db", "'db' may be one of several containers: bbbb33 (db, web), cccc44 (db, web)", "say more of the id"),
        ("dead", "container dead is gone", "calico-rkt gc"),
        ("shpo", "nobody here is called 'shpo'", "did you mean shop?"),
        ("", "nobody here is called ''", "calico-rkt ls"),
        ("10.1.0.1/24", "nobody here is called '10.1.0.1/24'", "an address"),
        ("container:192.0.2.7", "nobody here is called 'container:192.0.2.7'", ""),
        ("network:shop", "nobody here is called 'network:shop'", ""),
    ],
)
def test_what_means_nobody_or_several_is_refused_with_a_way_out(word, message, details):
    with pytest.raises(CniError) as caught:
        meant(word, ROWS)
    assert message in caught.value.msg
    assert details in caught.value.details
