import json
import subprocess
import sys
from ipaddress import ip_address, ip_network

import pytest

from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS, Ipam, Range, Route
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from tests.growth import growth_in_calls

README_2015 = b"""{
    "name": "network-name",
    "type": "calico",
    "ipam": {
        "type": "host-local",
        "subnet": "10.1.0.0/16",
    }
}
"""


def conf(**keys):
    """A valid conf with these keys put over it; a key that is None is left out."""
    base = {"name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}, **keys}
    return json.dumps({k: v for k, v in base.items() if v is not None}).encode()


def with_ipam(version="1.0.0", **keys):
    return conf(cniVersion=version, ipam={"type": "host-local", **keys})


def codes(data, **options):
    """The codes of all problems, errors or warnings."""
    try:
        found = parse_conf(data, **options)[1]
    except CompileError as e:
        return [d.code for d in e.diagnostics]
    assert not any(d.is_error for d in found)
    return [d.code for d in found]


def errors(data, **options):
    with pytest.raises(CompileError) as caught:
        parse_conf(data, **options)
    return [d for d in caught.value.diagnostics if d.is_error]


def test_the_readme_of_2015_compiles_in_the_preview_with_a_caret_at_its_comma():
    found, warnings = parse_conf(README_2015, "net.conf", preview=True)
    assert found.name == "network-name"
    assert found.ipam.ranges[0][0].subnet == ip_network("10.1.0.0/16")
    assert render_diagnostics(warnings) == (
        "net.conf:6:32: CR122 warning: a comma before the closing }: "
        "JSON has none there, and rkt will refuse the file\n"
        '    6 |         "subnet": "10.1.0.0/16",\n'
        "      |                                ^\n"
        "  = delete this comma\n"
    )


def test_the_readme_of_2015_is_refused_at_run_time_at_the_same_place():
    (found,) = errors(README_2015)
    assert (found.code, found.where) == ("CR122", "<stdin>:6:32")


def test_what_rkt_hands_over_is_taken_as_it_is():
    data = README_2015.replace(b",\n    }", b"\n    }").replace(b"\n", b"\r\n").replace(b"    ", b"\t")
    assert parse_conf(data)[0].name == "network-name"


def test_a_small_conf_has_calicos_and_cnis_defaults():
    found, warnings = parse_conf(conf())
    assert warnings == ()
    assert (found.cni_version, found.datastore_type, found.mtu, found.ip_masq) == ("0.1.0", "local", 0, False)
    assert (found.require_felix, found.log_level, found.nodename) == (True, "info", "")
    assert found.profiles_dir == "/etc/calico-rkt/profiles"


def test_every_key_reaches_its_field():
    data = conf(
        cniVersion="1.1.0",
        ipMasq=True,
        mtu=1450,
        datastore_type="etcdv2",
        etcd_endpoints="https://10.0.0.1:2379, https://[fd00::1]:2379/",
        etcd_authority="etcd.example:2379",
        etcd_ca_cert_file="/etc/ca",
        etcd_cert_file="/etc/cert",
        etcd_key_file="/etc/key",
        nodename="Node_1.lan",
        require_felix=False,
        log_level="WARN",
        profiles_dir="/srv/profiles",
    )
    found, warnings = parse_conf(data)
    assert warnings == ()
    assert (found.cni_version, found.ip_masq, found.mtu, found.datastore_type) == ("1.1.0", True, 1450, "etcdv2")
    assert found.etcd_endpoints == ("https://10.0.0.1:2379", "https://[fd00::1]:2379")
    assert found.etcd_authority == "etcd.example:2379"
    assert (found.etcd_ca_cert_file, found.etcd_cert_file, found.etcd_key_file) == ("/etc/ca", "/etc/cert", "/etc/key")
    assert (found.nodename, found.require_felix, found.log_level) == ("Node_1.lan", False, "warning")
    assert found.profiles_dir == "/srv/profiles"


def test_keys_of_the_specification_and_of_runtimes_are_not_unknown():
    extra = {
        "cniVersions": ["1.0.0"],
        "disableCheck": True,
        "disableGC": True,
        "loadOnlyInlinedPlugins": True,
        "capabilities": {"ips": True},
        "runtimeConfig": {"IPs": ["10.1.0.9"]},
        "prevResult": {},
        "args": {"cni": {}},
        "dns": {},
        "cni.dev/valid-attachments": [],
    }
    assert codes(conf(**extra)) == []


def test_a_version_nobody_knows_is_left_to_the_plugin():
    assert parse_conf(conf(cniVersion="9.9.9"))[0].cni_version == "9.9.9"
    assert SUPPORTED_VERSIONS[0] == "0.1.0"


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "network-name"])
def test_a_name_by_cnis_rule_is_taken(name):
    assert parse_conf(conf(name=name))[0].name == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("web\n", r"holds '\n'"),
        ("", "is empty"),
        ("-web", "begins with '-'"),
        (".web", "begins with '.'"),
        ("my net", "holds ' '"),
        ("a/b", "holds '/'"),
        ("wéb", "holds 'é'"),
        ("٣", "holds '٣'"),
    ],
)
def test_any_other_name_is_refused_with_what_is_wrong(name, says):
    (found,) = errors(conf(name=name))
    assert found.code == "CR204"
    assert says in found.message


def test_everything_that_is_missing_is_said_at_once():
    assert [d.message for d in errors(b"{}")] == [
        "the conf has no 'name'",
        "the conf has no 'type'",
        "the conf has no 'ipam'",
    ]


def test_every_wrong_type_is_said_at_once_and_names_its_key():
    data = conf(
        name=3,
        type=[],
        cniVersion=1.0,
        ipam="host-local",
        ipMasq="true",
        mtu="1500",
        log_level=True,
        require_felix=1,
        etcd_endpoints=3,
        nodename={},
        profiles_dir=2,
    )
    found = errors(data)
    assert {d.code for d in found} == {"CR203"}
    keys = ("name", "type", "cniVersion", "ipam", "ipMasq", "mtu", "log_level", "require_felix", "etcd_endpoints")
    assert {d.message.split()[0] for d in found} == {*keys, "nodename", "profiles_dir"}


def test_null_is_a_missing_key():
    (found,) = errors(b'{"name": null, "type": "calico", "ipam": {"type": "dhcp"}}')
    assert found.message == "the conf has no 'name'"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"mtu": 67}, "CR213"),
        ({"mtu": -1}, "CR213"),
        ({"mtu": 65536}, "CR213"),
        ({"mtu": 1500.5}, "CR203"),
        ({"mtu": 10**30}, "CR203"),
        ({"mtu": True}, "CR203"),
        ({"ipMasq": 1}, "CR203"),
        ({"datastore_type": "kubernetes"}, "CR206"),
        ({"datastore_type": "etcdv3"}, "CR202"),
        ({"datastore_type": "etcdv3", "etcd_endpoints": ""}, "CR202"),
        ({"log_level": "loud"}, "CR206"),
        ({"type": ""}, "CR206"),
        ({"etcd_endpoints": "10.0.0.1:2379"}, "CR217"),
        ({"etcd_endpoints": ["http://10.0.0.1"]}, "CR217"),
        ({"etcd_endpoints": "http://10.0.0.1:99999"}, "CR217"),
        ({"etcd_authority": "http://10.0.0.1:2379"}, "CR217"),
        ({"etcd_endpoints": "https://a:1", "etcd_key_file": "/k"}, "CR217"),
        ({"nodename": "a/b"}, "CR204"),
        ({"profiles_dir": "profiles"}, "CR218"),
        ({"profiles_dir": "/a\0b"}, "CR218"),
        ({"ipmasq": True}, "CR205"),
        ({"plugins": [], "type": None}, "CR214"),
        ({"ipam": {"type": "../evil"}}, "CR206"),
        ({"ipam": {"Type": "host-local"}}, "CR202"),
    ],
)
def test_a_value_that_can_not_hold_is_refused(keys, code):
    assert code in [d.code for d in errors(conf(**keys))]


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one():
    _, (found,) = parse_conf(conf(etcd_endpoint="x"))
    assert (found.code, found.hint) == ("CR205", "did you mean 'etcd_endpoints'?")


def test_a_key_in_the_wrong_case_is_an_error_since_rkt_would_read_it():
    (found,) = errors(conf(ipmasq=True))
    assert found.message == "the key 'ipmasq' is written 'ipMasq'"


def test_the_environment_names_etcd_only_where_the_conf_does_not():
    environ = {"ETCD_AUTHORITY": "10.0.0.1:2379", "ETCD_ENDPOINTS": "http://10.0.0.2:2379,http://10.0.0.3:2379"}
    found, _ = parse_conf(conf(), environ=environ)
    assert (found.datastore_type, found.etcd_authority) == ("etcdv3", "10.0.0.1:2379")
    assert found.etcd_endpoints == ("http://10.0.0.2:2379", "http://10.0.0.3:2379")
    found, _ = parse_conf(conf(etcd_authority="10.9.9.9:2379"), environ=environ)
    assert (found.datastore_type, found.etcd_authority, found.etcd_endpoints) == ("etcdv3", "10.9.9.9:2379", ())
    found, _ = parse_conf(conf(datastore_type="local"), environ=environ)
    assert (found.datastore_type, found.etcd_authority, found.etcd_endpoints) == ("local", "", ())


def test_a_bad_variable_is_shown_by_its_name():
    (found,) = errors(conf(), environ={"ETCD_ENDPOINTS": "10.0.0.1:2379"})
    assert (found.code, found.where) == ("CR217", "$ETCD_ENDPOINTS:1:1")


def test_etcd_keys_beside_the_local_datastore_are_warned_of():
    assert codes(conf(datastore_type="local", etcd_endpoints="http://a:1")) == ["CR216"]


def test_a_range_leaves_out_network_and_broadcast_but_not_the_first_address():
    found, _ = parse_conf(with_ipam(subnet="10.1.0.0/24", ranges=[[{"subnet": "fd00::/64"}]]))
    ((v4,), (v6,)) = found.ipam.ranges
    assert v4 == Range(ip_network("10.1.0.0/24"), ip_address("10.1.0.1"), ip_address("10.1.0.254"))
    assert v6 == Range(ip_network("fd00::/64"), ip_address("fd00::1"), ip_address("fd00::ffff:ffff:ffff:ffff"))


def test_null_in_a_route_is_a_missing_key_too():
    found, _ = parse_conf(with_ipam(subnet="10.1.0.0/24", routes=[{"dst": "0.0.0.0/0", "gw": None}]))
    assert [r.gateway for r in found.ipam.routes] == [None]


def test_start_end_gateway_routes_and_exclude_are_read():
    data = with_ipam(
        subnet="10.1.0.0/24",
        rangeStart="10.1.0.10",
        rangeEnd="10.1.0.20",
        gateway="10.1.0.15",
        routes=[{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.1"}],
        exclude=["10.1.0.12/30"],
    )
    found, warnings = parse_conf(data)
    assert warnings == ()
    assert found.ipam == Ipam(
        "host-local",
        (
            (
                Range(
                    ip_network("10.1.0.0/24"),
                    ip_address("10.1.0.10"),
                    ip_address("10.1.0.20"),
                    ip_address("10.1.0.15"),
                ),
            ),
        ),
        (Route(ip_network("0.0.0.0/0")), Route(ip_network("10.0.0.0/8"), ip_address("10.1.0.1"))),
        (ip_network("10.1.0.12/30"),),
    )


def test_another_ipam_plugin_keeps_its_keys_to_itself():
    found, warnings = parse_conf(conf(ipam={"type": "dhcp", "subnet": 3, "daemonSocketPath": "/x"}))
    assert (found.ipam, warnings) == (Ipam("dhcp"), ())


@pytest.mark.parametrize(
    ("keys", "code", "hint"),
    [
        ({}, "CR202", "subnet"),
        ({"rangeStart": "10.1.0.1"}, "CR202", "subnet"),
        ({"ranges": []}, "CR210", ""),
        ({"ranges": [[]]}, "CR210", ""),
        ({"ranges": {}}, "CR203", ""),
        ({"ranges": [{"subnet": "10.1.0.0/16"}]}, "CR203", "[[{"),
        ({"ranges": [["10.1.0.0/16"]]}, "CR203", ""),
        ({"ranges": [[{"subnet": "10.1.0.0/16", "Gateway": "10.1.0.1"}]]}, "CR205", ""),
        ({"subnet": "10.1.2.3/16"}, "CR208", "10.1.0.0/16"),
        ({"subnet": "fd00::1/64"}, "CR208", "fd00::/64"),
        ({"subnet": "10.1.0.0"}, "CR207", "prefix length"),
        ({"subnet": "10.1.0.0/255.255.0.0"}, "CR207", "10.1.0.0/16"),
        ({"subnet": "10.1.0.0/016"}, "CR207", ""),
        ({"subnet": "010.1.0.0/16"}, "CR207", ""),
        ({"subnet": "10.1.0.0/33"}, "CR207", ""),
        ({"subnet": "10.1.0.0/16\n"}, "CR218", ""),
        ({"subnet": "fe80::1%eth0/64"}, "CR207", ""),
        ({"subnet": 10}, "CR203", ""),
        ({"subnet": "10.1.0.0/31"}, "CR210", "/30"),
        ({"subnet": "fd00::/127"}, "CR210", "/126"),
        ({"subnet": "127.0.0.0/8"}, "CR215", ""),
        ({"subnet": "169.254.0.0/16"}, "CR215", ""),
        ({"subnet": "0.0.0.0/0"}, "CR215", ""),
        ({"subnet": "ff00::/8"}, "CR215", ""),
        ({"subnet": "10.1.0.0/16", "rangeStart": "10.2.0.1"}, "CR209", ""),
        ({"subnet": "10.1.0.0/16", "rangeEnd": "fd00::1"}, "CR209", ""),
        ({"subnet": "10.1.0.0/16", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}, "CR209", ""),
        ({"subnet": "10.1.0.0/16", "rangeEnd": "10.1.0.9/16"}, "CR207", "10.1.0.9"),
        ({"subnet": "10.1.0.0/16", "gateway": "fd00::1"}, "CR209", ""),
        ({"ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "fd00::/64"}]]}, "CR211", "a list each"),
        ({"subnet": "10.1.0.0/16", "ranges": [[{"subnet": "10.1.4.0/24"}]]}, "CR212", ""),
        ({"ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "10.2.0.0/16"}, {"subnet": "10.1.4.0/24"}]]}, "CR212", ""),
        ({"subnet": "10.1.0.0/30", "gateway": "10.1.0.1", "exclude": ["10.1.0.2/32"]}, "CR210", ""),
        ({"subnet": "10.1.0.0/16", "exclude": ["10.0.0.0/8"]}, "CR210", ""),
        ({"subnet": "10.1.0.0/16", "exclude": "10.1.0.0/24"}, "CR203", ""),
        ({"subnet": "10.1.0.0/16", "exclude": ["10.1.0.2"]}, "CR207", "10.1.0.2/32"),
        ({"subnet": "10.1.0.0/16", "routes": [{"gw": "10.1.0.1"}]}, "CR202", "dst"),
        ({"subnet": "10.1.0.0/16", "routes": [{"dst": "10.1.2.3/8"}]}, "CR208", "10.0.0.0/8"),
        ({"subnet": "10.1.0.0/16", "routes": [{"dst": "::/0", "gw": "10.1.0.1"}]}, "CR209", ""),
        ({"subnet": "10.1.0.0/16", "routes": ["0.0.0.0/0"]}, "CR203", ""),
    ],
)
def test_ranges_that_can_not_hold_are_refused_with_a_way_out(keys, code, hint):
    found = [d for d in errors(with_ipam(**keys)) if d.code == code]
    assert len(found) == 1
    assert hint in found[0].hint
    assert found[0].span is not None


@pytest.mark.parametrize(
    "keys",
    [
        {"dataDir": "/var/lib"},
        {"resolvConf": "/etc/resolv.conf"},
        {"gateway": "10.2.0.1"},
        {"exclude": ["10.2.0.0/24"]},
    ],
)
def test_what_has_no_effect_is_warned_of(keys):
    assert codes(with_ipam(subnet="10.1.0.0/16", **keys)) == ["CR216"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"capabilities": {"ips": True, "mac": True, "dns": True, "portMappings": True}}, []),
        ({"capabilities": {"bandwidth": False}}, []),
        ({"capabilities": {"bandwidth": True}}, ["bandwidth"]),
        ({"capabilities": {"aliases": True, "io.kubernetes.cri.pod-annotations": True}}, ["aliases", "io.kubernetes"]),
        ({"runtimeConfig": {"Bandwidth": {"ingressRate": 1}}}, ["Bandwidth"]),
        ({"capabilities": {"ipRanges": True}, "runtimeConfig": {"ipRanges": []}}, ["ipRanges"]),
    ],
)
def test_a_capability_that_is_not_served_is_never_silent(keys, told):
    _, found = parse_conf(conf(**keys))
    assert [d.code for d in found] == ["CR230"] * len(told)
    assert all(f"the capability {word}" in d.message and d.hint for word, d in zip(told, found, strict=True))


def test_two_ranges_of_one_subnet_that_share_no_address_are_fine():
    one = {"subnet": "10.1.0.0/16", "rangeEnd": "10.1.0.9"}
    two = {"subnet": "10.1.0.0/16", "rangeStart": "10.1.0.10"}
    assert codes(with_ipam(ranges=[[two, one]])) == []


def test_many_ranges_that_exclude_many_addresses_are_read_once_each():
    def read(count):
        nets = [f"10.{i // 250}.{i % 250}" for i in range(count)]
        ranges = [[{"subnet": f"{net}.0/24"} for net in nets]]
        assert codes(with_ipam(ranges=ranges, exclude=[f"{net}.7/32" for net in nets])) == []

    assert growth_in_calls(read, 50) <= 1.1


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"exclude": ["10.1.0.0/31"]}, []),
        ({"exclude": ["10.1.0.0/31", "10.1.0.2/31"]}, ["CR210"]),
        ({"exclude": ["10.1.0.0/30", "10.1.0.0/31"]}, ["CR210"]),
        ({"exclude": ["10.1.0.1/32"], "gateway": "10.1.0.2"}, ["CR210"]),
        ({"exclude": ["10.1.0.2/32"], "gateway": "10.1.0.1"}, ["CR210"]),
        ({"exclude": ["10.1.0.3/32"], "gateway": "10.1.0.1"}, ["CR216"]),
        ({"exclude": ["0.0.0.0/0"]}, ["CR210"]),
        ({"exclude": ["fd00::/8"]}, ["CR216"]),
        ({"exclude": ["10.0.255.0/24", "10.1.0.4/30"]}, ["CR216", "CR216"]),
    ],
)
def test_whether_an_address_is_left_is_told_to_the_address(keys, told):
    assert codes(with_ipam(subnet="10.1.0.0/30", **keys)) == told


def test_old_results_hold_one_address_a_family():
    keys = {"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.2.0.0/16"}]]}
    assert codes(with_ipam("0.2.0", **keys)) == ["CR211"]
    assert codes(with_ipam("0.3.0", **keys)) == []
    assert codes(with_ipam("0.1.0", subnet="10.1.0.0/16", ranges=[[{"subnet": "fd00::/64"}]])) == []


def test_ipv6_needs_its_smallest_mtu():
    assert codes(conf(mtu=1279, ipam={"type": "host-local", "subnet": "fd00::/64"})) == ["CR213"]
    assert codes(conf(mtu=1280, ipam={"type": "host-local", "subnet": "fd00::/64"})) == []


def plugin_list(*plugins, **keys):
    return json.dumps({"name": "web", "cniVersion": "1.0.0", "plugins": plugins, **keys}).encode()


CALICO = {"type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}}


def test_the_preview_reads_our_plugin_out_of_a_list():
    found, warnings = parse_conf(plugin_list(CALICO, {"type": "portmap"}, disableCheck=True), preview=True)
    assert (found.name, found.cni_version, found.type, warnings) == ("web", "1.0.0", "calico", ())


@pytest.mark.parametrize(
    ("plugins", "options", "expected"),
    [
        ([CALICO], {}, ["CR214"]),
        ([{"type": "bridge"}], {"preview": True}, ["CR214"]),
        ([], {"preview": True}, ["CR214"]),
        ([{"type": "bridge"}, CALICO], {"preview": True}, ["CR214"]),
        ([CALICO, CALICO], {"preview": True}, ["CR214"]),
    ],
)
def test_a_list_that_is_not_ours_to_read_is_refused(plugins, options, expected):
    assert codes(plugin_list(*plugins), **options) == expected


@pytest.mark.parametrize("data", [b"[]", b"3", b'"x"', b"null"])
def test_a_conf_is_an_object(data):
    assert codes(data) == ["CR201"]


def test_warnings_come_along_with_errors():
    found = codes(b'{"name": "a b", "type": "calico", "ipam": {"type": "dhcp"}, "mtuu": 1,}', preview=True)
    assert sorted(found) == ["CR122", "CR204", "CR205"]


def test_a_plugin_call_loads_neither_yaml_nor_jinja():
    code = (
        "from calico_rkt.compiler.conf.parse import parse_conf; import sys;"
        """parse_conf(b'{"name":"n","type":"calico","ipam":{"type":"host-local","subnet":"10.1.0.0/16"}}');"""
        "print({'yaml', 'jinja2', 'difflib', 'pyroute2'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
