"""Claims about delegated IPAM, with real programs in real folders."""

from __future__ import annotations

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.plugin.attach import ipam_plugin
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.cni.result import Dns, ResultRoute
from calico_rkt.plugin.errors import CniError, Code

NOTES_AND_ANSWERS = """#!/bin/sh
cd "$(dirname "$0")"
echo "$CNI_COMMAND $CNI_ARGS" >>calls
cat >"stdin.$CNI_COMMAND"
[ "$CNI_COMMAND" != ADD ] || { cat answer; exit "$(cat status)"; }
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A plugin "odd" in a folder of its own; returns a function that sets what its ADD answers."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    program = folder / "odd"
    program.write_text(NOTES_AND_ANSWERS)
    program.chmod(0o755)
    monkeypatch.setenv("CNI_COMMAND", "ADD")
    monkeypatch.setenv("CNI_ARGS", "IP=10.1.0.9")

    def answering(text, status=0):
        (folder / "answer").write_text(text)
        (folder / "status").write_text(str(status))
        return request(str(folder))

    answering.folder = folder
    return answering


def request(*path, ipam="odd", raw=b'{"name": "web"}\r\n'):
    conf = NetConf("web", "calico", "1.0.0", Ipam(ipam))
    return Request("ADD", conf, raw, container="c1", ifname="eth0", netns="/n", path=path)


def calls(plugin):
    return (plugin.folder / "calls").read_text().splitlines()


def refused(given, call=ipam_plugin.ipam_add):
    with pytest.raises(CniError) as caught:
        call(given)
    return caught.value


def test_host_local_is_served_here_and_everything_else_delegated():
    assert not ipam_plugin.is_delegated(request(ipam="host-local").conf)
    assert ipam_plugin.is_delegated(request(ipam="dhcp").conf)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["10.8.0.5/24", "10.8.0.5/32"], "10.8.0.5 more than once"),
        (["224.0.0.9/24"], "224.0.0.9, which no interface can have"),
        (["0.0.0.0/0"], "0.0.0.0, which no interface can have"),
        (["::1/128"], "::1, which no interface can have"),
    ],
)
def test_addresses_that_no_endpoint_can_have_are_the_ipam_plugin_s_fault(plugin, given, words):
    ips = ", ".join(f'{{"address": "{a}"}}' for a in given)
    error = refused(plugin(f'{{"cniVersion": "1.0.0", "ips": [{ips}]}}'))
    assert (error.code, error.msg) == (Code.DELEGATE, f"ipam plugin 'odd' gave {words}")
    assert [line.split()[0] for line in calls(plugin)] == ["ADD", "DEL"]


def test_a_result_of_any_shape_is_understood(plugin):
    new, _ = ipam_plugin.ipam_add(
        plugin(
            '{"cniVersion": "1.0.0",'
            ' "ips": [{"address": "10.8.0.5/24", "gateway": "10.8.0.1"}, {"address": "fd00::5/64"}],'
            ' "routes": [{"dst": "10.0.0.0/8", "gw": "10.8.0.1"}], "dns": {"nameservers": ["10.8.0.2"]}}'
        )
    )
    assert [(ip.address, ip.gateway) for ip in new.ips] == [("10.8.0.5/24", "10.8.0.1"), ("fd00::5/64", "")]
    assert new.routes == (ResultRoute("10.0.0.0/8", "10.8.0.1"),)
    assert new.dns == Dns(("10.8.0.2",))
    old, _ = ipam_plugin.ipam_add(
        plugin(
            '{"ip4": {"ip": "10.8.0.5/24", "routes": [{"dst": "0.0.0.0/0"}]}, "ip6": {"ip": "fd00::5/64"}, "dns": {}}'
        )
    )
    assert [ip.address for ip in old.ips] == ["10.8.0.5/24", "fd00::5/64"]
    assert old.routes == (ResultRoute("0.0.0.0/0"),)


def test_the_plugin_gets_the_confs_bytes_and_the_runtimes_environment(plugin):
    given = plugin('{"ips": [{"address": "10.8.0.5/24"}]}')
    ipam_plugin.ipam_add(given)
    ipam_plugin.ipam_check(given)
    ipam_plugin.ipam_del(given)
    assert calls(plugin) == ["ADD IP=10.1.0.9", "CHECK IP=10.1.0.9", "DEL IP=10.1.0.9"]
    assert (plugin.folder / "stdin.ADD").read_bytes() == (plugin.folder / "stdin.DEL").read_bytes() == given.raw


def test_a_relative_folder_counts_from_where_we_were_started(plugin, monkeypatch):
    plugin('{"ips": [{"address": "10.8.0.5/24"}]}')
    monkeypatch.chdir(plugin.folder.parent)
    assert ipam_plugin.ipam_add(request("nowhere", "plugins"))[0].ips


def test_a_failed_add_is_quoted_and_followed_by_its_del(plugin):
    error = refused(plugin('{"code": 11, "msg": "the pool is on holiday", "details": "until May"}', 1))
    assert (error.code, error.msg, error.details) == (11, "ipam plugin 'odd': the pool is on holiday", "until May")
    assert [c.split()[0] for c in calls(plugin)] == ["ADD", "DEL"]


ANSWERS = {
    "nothing": "",
    "no JSON": "10.1.0.5",
    "a list": "[]",
    "no address": '{"ips": []}',
    "an address of words": '{"ips": [{"address": "banana"}]}',
    "a number": '{"ips": [{"address": 5}]}',
    "a string of ips": '{"ips": "10.1.0.5/24"}',
    "a string of routes": '{"ips": [{"address": "10.8.0.5/24"}], "routes": "all"}',
    "a route to words": '{"ips": [{"address": "10.8.0.5/24"}], "routes": [{"dst": "banana"}]}',
    "dns of words": '{"ips": [{"address": "10.8.0.5/24"}], "dns": {"nameservers": "10.8.0.2"}}',
    "dns that is a list": '{"ips": [{"address": "10.8.0.5/24"}], "dns": ["10.8.0.2"]}',
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_is_no_result_is_refused_and_followed_by_del(plugin, case):
    assert refused(plugin(ANSWERS[case])).code == Code.DELEGATE
    assert [c.split()[0] for c in calls(plugin)] == ["ADD", "DEL"]


def test_a_plugin_that_dies_without_a_word_is_named_with_its_status(plugin):
    error = refused(plugin("oops", 3))
    assert error.code == Code.DELEGATE
    assert "'odd'" in error.msg
    assert "exit status 3" in error.msg
    assert error.details == "oops"


def test_a_missing_plugin_is_an_error_that_names_it_and_the_path(tmp_path):
    (tmp_path / "odd").mkdir()
    error = refused(request("/nowhere", str(tmp_path)))
    assert error.code == Code.DELEGATE
    assert "'odd'" in error.msg
    assert "/nowhere" in error.details


@pytest.mark.parametrize("name", ["", "..", "a/b", "calico"])
def test_a_name_that_is_a_path_or_our_own_is_refused(tmp_path, name):
    assert refused(request(str(tmp_path), ipam=name)).code == Code.INVALID_CONF


def test_a_program_that_can_not_be_run_is_an_error(tmp_path):
    program = tmp_path / "odd"
    program.write_bytes(b"\x7fELF and no more")
    program.chmod(0o755)
    assert refused(request(str(tmp_path))).code == Code.DELEGATE
