"""Claims about an endpoint's entry: it is the text that the log's own encoder makes, whatever names are in it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store import rows
from calico_rkt.plugin.store.log.tables import ENDPOINTS, RESULTS, Tables
from calico_rkt.plugin.store.log.texts import encode_address, text_of

PLAIN = Endpoint(
    key=Key("web", "c1", "eth0"),
    nonce="0123456789abcdef",
    netns="/run/netns/c1",
    netns_dev=4,
    netns_inode=4026532000,
    host_ifname="crk0123456789ab",
    mac="02:00:00:00:00:01",
    addresses=(ip_address("10.1.0.1"), ip_address("fd00::1")),
    home=(4, 4026531992),
)
ODD = replace(
    PLAIN,
    key=Key('a "web"', "c\\1", "é0"),
    netns='/run/\t"netns"\\é',
    ip_masq=True,
    result='{"ips": ["é"]}',
    members=("http://a:1", "http://b:2"),
    node='a "node"',
    addresses=(),
)


@pytest.mark.parametrize("endpoint", [PLAIN, ODD])
def test_an_entry_is_what_the_encoder_of_the_log_writes(endpoint):
    tables, e = Tables(), endpoint
    rows.insert_endpoint(tables, e)
    fields = (
        *(e.nonce, e.netns, e.netns_dev, e.netns_inode, e.host_ifname, e.mac, int(e.ip_masq)),
        *(*e.home, "\n".join(e.members), e.node),
    )
    assert len(fields) == len(rows.FIELDS)
    name = text_of([e.key.network, e.key.container, e.key.ifname])
    held = text_of([encode_address(a) for a in e.addresses])
    assert tables.of(ENDPOINTS) == {name: f"{held}\t{text_of(fields)}"}
    assert tables.of(RESULTS) == ({name: text_of([e.nonce, e.result])} if e.result else {})
    assert rows.endpoint_of(tables, e.key) == endpoint


@pytest.mark.parametrize("endpoint", [PLAIN, ODD])
def test_a_result_is_recorded_for_the_nonce_alone(endpoint):
    tables, key = Tables(), endpoint.key
    rows.insert_endpoint(tables, endpoint)
    before = dict(tables.of(RESULTS))
    for other in ("", "0123456789abcde", "0123456789abcdef0", '0123456789abcdef","'):
        assert not rows.finish(tables, key, other, "{}")
    assert dict(tables.of(RESULTS)) == before
    assert not rows.finish(tables, Key("web", "c2", "eth0"), endpoint.nonce, "{}")
    assert rows.finish(tables, key, endpoint.nonce, "{}")
    assert tables.of(RESULTS) == {rows.key_of(*(key.network, key.container, key.ifname)): text_of([PLAIN.nonce, "{}"])}
    spaced = tables.of(ENDPOINTS)[rows.key_of(key.network, key.container, key.ifname)].replace('\t["', '\t[ "')
    tables.put(ENDPOINTS, rows.key_of(key.network, key.container, key.ifname), spaced)
    assert rows.finish(tables, key, endpoint.nonce, "{}"), "an entry that says it in other words"


def test_of_an_entry_that_is_nested_too_deep_nothing_remains():
    tables = Tables()
    rows.insert_endpoint(tables, PLAIN)
    ((name, _),) = tables.of(ENDPOINTS).items()
    tables.put(ENDPOINTS, name, "[]\t" + "[" * 100_000)
    assert rows.remains_of(tables, PLAIN.key).netns == ""
