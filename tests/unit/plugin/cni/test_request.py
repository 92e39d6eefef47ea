"""What a runtime may send, and what each wrong call is answered with."""

import json
from ipaddress import ip_address

import pytest

from calico_rkt.plugin.cni.request import RequestError, parse_request

CONF = {"cniVersion": "1.1.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}}
ENV = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "6e1f22",
    "CNI_NETNS": "/run/netns/x",
    "CNI_IFNAME": "eth0",
    "CNI_PATH": "/opt/cni/bin:lib",
}


def parse(env=(), conf=()):
    return parse_request(ENV | dict(env), json.dumps(CONF | dict(conf)).encode())


def refused(env=(), conf=()):
    with pytest.raises(RequestError) as e:
        parse(env, conf)
    return e.value


def test_a_plain_add_is_read_whole():
    r = parse()
    assert (r.command, r.conf.name, r.container, r.ifname, r.netns) == ("ADD", "web", "6e1f22", "eth0", "/run/netns/x")
    assert r.path == ("/opt/cni/bin", "lib")


@pytest.mark.parametrize(
    "env",
    [
        {"CNI_ARGS": "IP=10.1.0.9;FOO=bar"},
        {"CNI_ARGS": "IP=10.1.0.9/16"},
        {"CNI_ARGS": "FOO=bar;IP=10.1.0.9"},
    ],
)
def test_cni_args_ask_for_an_address_and_unknown_keys_are_skipped(env):
    assert parse(env).requested == (ip_address("10.1.0.9"),)


@pytest.mark.parametrize("key", ["ips", "IPs", "Ips"])
def test_runtime_config_keys_are_matched_without_regard_to_case(key):
    assert parse(conf={"runtimeConfig": {key: ["10.1.0.7/16"]}}).requested == (ip_address("10.1.0.7"),)


@pytest.mark.parametrize("text", ["02:00:5E:10:00:af", "02-00-5e-10-00-AF", "0200.5e10.00af"])
def test_a_mac_is_read_in_each_way_that_cni_s_own_plugins_read(text):
    assert parse({"CNI_ARGS": f"MAC={text}"}).mac == "02:00:5e:10:00:af"
    assert parse(conf={"runtimeConfig": {"mac": text}}).mac == "02:00:5e:10:00:af"


@pytest.mark.parametrize(
    "text", ["02:00-5e:10:00:af", "02005e1000af", "02:00:5e:10:00", "02:00:5e:10:00:af:01", "0200.5e10.0gaf", 2, ["02"]]
)
def test_what_is_no_mac_is_refused(text):
    assert "is no MAC address" in refused(conf={"runtimeConfig": {"mac": text}}).msg


@pytest.mark.parametrize(
    ("env", "code", "word"),
    [
        ({"CNI_COMMAND": ""}, 4, "CNI_COMMAND"),
        ({"CNI_COMMAND": "add"}, 4, "CNI_COMMAND"),
        ({"CNI_CONTAINERID": ""}, 4, "CNI_CONTAINERID"),
        ({"CNI_CONTAINERID": "a/b"}, 4, "CNI_CONTAINERID"),
        ({"CNI_CONTAINERID": "abc\n"}, 4, "CNI_CONTAINERID"),
        ({"CNI_CONTAINERID": "-abc"}, 4, "CNI_CONTAINERID"),
        ({"CNI_IFNAME": ""}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "a234567890123456"}, 4, "15 bytes"),
        ({"CNI_IFNAME": ".."}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "eth 0"}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "eth:0"}, 4, "CNI_IFNAME"),
        ({"CNI_IFNAME": "all"}, 4, "means every interface"),
        ({"CNI_IFNAME": "default"}, 4, "means every interface"),
        ({"CNI_NETNS": ""}, 4, "CNI_NETNS"),
        ({"CNI_ARGS": "IP"}, 4, "KEY=VALUE"),
        ({"CNI_ARGS": "IP=nine"}, 7, "'nine'"),
        ({"CNI_ARGS": "MAC=01:00:5e:00:00:01"}, 7, "MAC"),
    ],
)
def test_a_wrong_environment_is_refused_with_the_variable_named(env, code, word):
    error = refused(env)
    assert error.code == code
    assert word in error.msg


@pytest.mark.parametrize(
    ("conf", "code"),
    [
        ({"cniVersion": "9.9.9"}, 1),
        ({"cniVersion": 1}, 7),
        ({"prevResult": {"ips": []}}, 7),
        ({"prevResult": "x"}, 7),
        ({"runtimeConfig": []}, 7),
        ({"name": "we\nb"}, 7),
        ({"name": "{{7*7}}"}, 7),
        ({"name": "$(reboot)"}, 7),
        ({"name": ""}, 7),
    ],
)
def test_a_wrong_conf_is_refused(conf, code):
    if conf == {"runtimeConfig": []}:
        conf = {"runtimeConfig": ["x"]}
    assert refused(conf=conf).code == code


@pytest.mark.parametrize("name", ["all", "default"])
def test_a_name_that_no_interface_can_have_is_no_hindrance_at_del(name):
    assert parse({"CNI_COMMAND": "DEL", "CNI_IFNAME": name}).ifname == name


def test_an_empty_netns_is_fine_at_del():
    assert parse({"CNI_COMMAND": "DEL", "CNI_NETNS": ""}).netns == ""


@pytest.mark.parametrize(("command", "version"), [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")])
def test_a_verb_that_the_version_does_not_know_is_refused(command, version):
    assert refused({"CNI_COMMAND": command}, {"cniVersion": version}).code == 1


@pytest.mark.parametrize("key", ["cni.dev/valid-attachments", "cni.dev/attachments"])
def test_gc_reads_both_names_of_its_list(key):
    r = parse({"CNI_COMMAND": "GC"}, {key: [{"containerID": "a", "ifname": "eth0"}]})
    assert r.attachments == (("a", "eth0"),)


@pytest.mark.parametrize("keys", [{}, {"cni.dev/valid-attachments": None}, {"cni.dev/attachments": []}])
def test_gc_without_a_list_is_gc_with_an_empty_one(keys):
    """libcni hands on a nil list so; no more than what the kernel proves dead is freed in any case."""
    assert parse({"CNI_COMMAND": "GC"}, keys).attachments == ()


def test_the_error_carries_the_confs_own_version():
    assert refused({"CNI_IFNAME": ""}, {"cniVersion": "0.4.0"}).cni_version == "0.4.0"


@pytest.mark.parametrize("data", [b"", b"{", b"\x00\xff\xfe", b"[]", b"{,}", b'{"name": "a",}', b"[" * 100_000])
def test_what_is_no_conf_is_refused_without_a_traceback(data):
    with pytest.raises(RequestError) as e:
        parse_request(ENV, data)
    assert e.value.code in (6, 7)


def test_an_unknown_version_is_answered_in_the_newest_that_we_speak():
    assert refused(conf={"cniVersion": "9.9.9"}).cni_version == "1.1.0"
