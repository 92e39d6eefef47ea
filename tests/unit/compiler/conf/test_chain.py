"""The plugins that a runtime runs for a conf file."""

from __future__ import annotations

import json

import pytest

from calico_rkt.compiler.conf.chain import read_chain
from calico_rkt.compiler.diagnostics import CompileError

PLUGINS = [{"type": "calico", "ipam": {"type": "host-local"}}, {"type": "portmap", "capabilities": {"x": True}}]


def test_a_list_s_plugins_come_in_its_order_as_they_are():
    found = read_chain(json.dumps({"cniVersion": "1.0.0", "name": "web", "plugins": PLUGINS}).encode(), "w.conflist")
    assert (found.name, found.cni_version, list(found.plugins)) == ("web", "1.0.0", PLUGINS)


def test_a_single_conf_is_a_chain_of_one_without_the_list_s_own_keys():
    found = read_chain(json.dumps({"cniVersion": "0.4.0", "name": "web", **PLUGINS[0]}).encode(), "w.conf")
    assert (found.name, found.cni_version, list(found.plugins)) == ("web", "0.4.0", PLUGINS[:1])


def test_what_was_read_once_is_the_same_when_it_is_read_from_what_was_kept():
    found = read_chain(json.dumps({"cniVersion": "1.0.0", "name": "web", "plugins": PLUGINS}).encode(), "w.conflist")
    assert read_chain(json.dumps(found.to_json()).encode(), "kept.json") == found


@pytest.mark.parametrize(
    ("capabilities", "maps"),
    [
        ({"portMappings": True}, True),
        ({"portMappings": True, "ips": True}, True),
        ({"portMappings": False}, False),
        ({"portMappings": 1}, False),
        ({"ips": True}, False),
        (["portMappings"], False),
        (None, False),
    ],
)
def test_ports_are_mapped_by_who_declares_it_and_never_by_ours(capabilities, maps):
    plugins = [{"type": name, "capabilities": capabilities} for name in ("calico", "portmap")]
    found = read_chain(json.dumps({"name": "web", "plugins": plugins}).encode(), "w.conflist")
    assert list(found.port_mappers) == plugins[1:] * maps


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "web", "type": "calico",}',
        '// a comment\n{"name": "web", "type": "calico"}',
        "[]",
        '{"type": "calico"}',
        '{"name": "web"}',
        '{"name": "web", "plugins": []}',
        '{"name": "web", "plugins": [3]}',
        '{"name": "web", "plugins": [{"type": "calico"}, {"type": "../sh"}]}',
        '{"name": "web", "plugins": [{"type": "calico"}, {}]}',
        "\xff",
    ],
)
def test_what_no_runtime_takes_is_refused(text):
    with pytest.raises(CompileError):
        read_chain(text.encode("latin-1"), "web.conflist")
