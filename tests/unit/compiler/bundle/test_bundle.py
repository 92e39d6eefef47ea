"""A bundle is written the same each time, read back as it was, and refused where Calico or a reviewer would."""

import json
from ipaddress import ip_network

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.bundle.read import LARGEST, read_bundle
from calico_rkt.compiler.bundle.resources import Bundle, IPPool, WorkloadEndpoint
from calico_rkt.compiler.bundle.write import write_bundle
from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.pipeline import compile_for_host


def network(name, override=""):
    conf = NetConf(name, "calico", "1.0.0", Ipam("unknown"))
    return compile_for_host(conf, {f"{name}.yaml": override.encode()} if override else {}).network


WEB = network("web", "network: web\ningress:\n  - {action: Allow, protocol: TCP, destination: {ports: [80]}}\n")
POOL = IPPool(
    "calico-rkt-10.1.0.0-16",
    ip_network("10.1.0.0/16"),
    nat_outgoing=True,
    block_size=26,
    ipip_mode="Never",
    vxlan_mode="Never",
    node_selector="all()",
    allowed_uses=("Workload", "Tunnel"),
    assignment_mode="Automatic",
)
ENDPOINT = WorkloadEndpoint(
    "n-cni-12e3456-eth0", "n", "12e3456", "eth0", "cali1", "ee:ee:ee:ee:ee:ee", ("10.1.0.1/32",), ("web",)
)
WHOLE = write_bundle(Bundle((WEB,), (POOL,), (ENDPOINT,)))
HEAD = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\n"


def test_what_is_written_is_read_back():
    back = read_bundle("f", WHOLE.encode())
    assert back == Bundle((WEB,), (POOL,), endpoint_names=(ENDPOINT.name,))


def test_the_order_is_the_names_and_not_what_came_first():
    networks = [network(n) for n in ("b", "a", "c")]
    assert write_bundle(Bundle(tuple(networks))) == write_bundle(Bundle(tuple(reversed(networks))))
    kinds = [d["kind"] for d in yaml.safe_load_all(WHOLE)]
    assert kinds == ["IPPool", "Profile", "WorkloadEndpoint"]


def test_nothing_is_written_that_calicoctl_refuses_at_a_creation():
    for document in yaml.safe_load_all(WHOLE):
        assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
        assert not {"uid", "resourceVersion", "creationTimestamp"} & set(document["metadata"])
    assert write_bundle(Bundle()) == ""


def test_what_looks_like_a_number_stays_text():
    """Calico's YAML reader takes a bare 12e3456 for a float."""
    assert 'containerID: "12e3456"' in WHOLE


def test_what_calicoctl_get_adds_is_no_obstacle():
    made = "uid: a\n  resourceVersion: '7'\n  creationTimestamp: null\n  name:"
    assert read_bundle("f", WHOLE.replace("name:", made, 3).encode()).pools == (POOL,)


def test_windows_line_ends_and_comments_are_no_obstacle():
    text = "# by hand\n\n" + WHOLE.replace("\n", "\r\n") + "---\n# nothing\n---\n"
    assert read_bundle("f", text.encode()).profiles == (WEB,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f: CR614 error: there is no resource in this file"),
        ("# only\n---\n", "f: CR614 error: there is no resource in this file"),
        ("kind: Profile\n", "f:1:1: CR611 error: no resource that can be imported: kind 'Profile'"),
        ("a: [1\n", "f:1:1: CR510 error"),
        ("just words\n", "f:1:1: CR611 error: no resource that can be imported: kind None"),
        (HEAD.replace("IPPool", "GlobalNetworkPolicy"), "f:1:1: CR611 error: no resource that can be imported"),
        (HEAD.replace("IPPool", "ProfileList"), "CR614 error: there is no resource in this file"),
        (HEAD.replace("{name: p}", "{}"), "f:1:1: CR611 error: a resource without a name"),
        ("a: &x [1]\nb: *x\n", "f:1:1: CR611 error: an alias"),
        ("[" * 100, "f:1:1: CR611 error: more than 64 levels"),
        (HEAD, "CR613 error: IPPool p: there is no spec"),
        (HEAD + "spec: {cidr: 10.1.0.1/16}\n", "CR613 error: IPPool p: cidr '10.1.0.1/16' is no network"),
        (
            HEAD + "spec: {cidr: 10.1.0.0/16, blockSize: 33}\n",
            "CR613 error: IPPool p: blockSize 33 is not from 20 to 32",
        ),
        (HEAD + "spec: {cidr: 10.1.0.0/28, blockSize: 26}\n", "a block of /26 is larger than the pool"),
        (HEAD + "spec: {cidr: 10.1.0.0/16, natOutgoing: 1}\n", "natOutgoing is 1, not true or false"),
        (HEAD + "spec: {cidr: 10.1.0.0/16, natoutgoing: true}\n", "unknown key spec.natoutgoing"),
        (HEAD + "spec: {cidr: 10.1.0.0/16, nodeSelector: 'a =='}\n", "nodeSelector: "),
        (HEAD + "spec: {cidr: 10.1.0.0/16, allowedUses: [Pods]}\n", "allowedUses 'Pods' is none of Workload"),
        (HEAD + "spec: {cidr: 10.1.0.0/16, ipipMode: Always, vxlanMode: Always}\n", "ipipMode and vxlanMode at once"),
        (HEAD + "spec: {cidr: 'fd00::/64', ipipMode: Always}\n", "IPv6 has no ipipMode"),
        (HEAD.replace("p}", "P_1}") + "spec: {cidr: 10.1.0.0/16}\n", "its name is none that Calico takes"),
        (WHOLE + WHOLE, "CR612 error: IPPool calico-rkt-10.1.0.0-16 stands on line 2 already"),
        (WHOLE.replace("[80]", "[81]"), "CR513 error: the profile web was edited"),
        (WHOLE.replace("calico-rkt.org/digest", "example.org/digest"), "CR512 error: the profile web has no digest"),
        (WHOLE.replace('web: ""', 'all: ""'), "CR511 error"),
        (WHOLE.replace("action: Allow", "action: Pass"), "CR510 error"),
    ],
)
def test_a_file_that_is_not_fit_is_refused_with_its_line_and_code(text, expected):
    with pytest.raises(CompileError) as caught:
        read_bundle("f", text.encode())
    assert expected in render_diagnostics(caught.value.diagnostics)


def test_every_problem_of_a_file_is_told_at_once_on_its_own_line():
    text = f"{HEAD}spec: {{cidr: '1.2.3.4'}}\n---\nkind: Node\n{WHOLE.replace('[80]', '[81]')}"
    with pytest.raises(CompileError) as caught:
        read_bundle("f", text.encode())
    found = [(d.code, d.where) for d in caught.value.diagnostics]
    line = text[: text.index("kind: Profile")].count("\n")
    assert found == [("CR613", "f:1:1"), ("CR611", "f:6:1"), ("CR513", f"f:{line}:1")]


def test_what_is_no_text_or_endless_is_refused():
    for data in (b"a: \xff\n", b" " * (LARGEST + 1)):
        with pytest.raises(CompileError) as caught:
            read_bundle("f", data)
        assert [d.code for d in caught.value.diagnostics] == ["CR614"]


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_a_bundle_or_diagnostics(data):
    try:
        read_bundle("f", data)
    except CompileError:
        return


@given(st.integers(0, len(WHOLE) - 1), st.characters(codec="utf-8"))
def test_a_file_with_one_character_changed_says_the_same_or_is_refused(place, character):
    """A profile is what its digest says; a pool's and an endpoint's words have no digest and may change."""
    text = WHOLE[:place] + character + WHOLE[place + 1 :]
    try:
        back = read_bundle("f", text.encode())
    except CompileError:
        return
    assert back.profiles in ((WEB,), ()), text


def listed(*documents, kind="ProfileList", style=None):
    """What `calicoctl get ... -o yaml` makes of resources: a list, sorted keys, what the datastore adds, bare words."""
    items = []
    for one in documents:
        metadata = {**one["metadata"], "uid": "4b2c6a5e-7d1f-4b63-9c0e-1f2d3c4b5a69", "resourceVersion": "1234"}
        items.append({**one, "metadata": metadata | {"creationTimestamp": "2026-08-01T10:00:00Z"}})
    top = {"apiVersion": "projectcalico.org/v3", "items": items, "kind": kind, "metadata": {"resourceVersion": "5678"}}
    if style == "json":
        return json.dumps(top, indent=2)
    return yaml.safe_dump(top, sort_keys=True, width=1000)


STOCK = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "Profile",
    "metadata": {"name": "projectcalico-default-allow"},
    "spec": {"egress": [{"action": "Allow", "destination": {}, "source": {}}], "ingress": [{"action": "Allow"}]},
}


@pytest.mark.parametrize("style", ["yaml", "json"])
def test_a_list_of_calicoctl_s_is_its_items_and_what_is_nobody_s_of_ours_is_named(style):
    ours = [d for d in yaml.safe_load_all(WHOLE) if d["kind"] == "Profile"]
    back = read_bundle("f", listed(STOCK, *ours, style=style).encode())
    assert back == Bundle((WEB,), passed_over=("projectcalico-default-allow",))
    pools = [d for d in yaml.safe_load_all(WHOLE) if d["kind"] == "IPPool"]
    assert read_bundle("f", listed(*pools, kind="IPPoolList", style=style).encode()).pools[0].cidr == POOL.cidr


def test_one_resource_as_calicoctl_prints_it_is_read():
    (ours,) = [d for d in yaml.safe_load_all(WHOLE) if d["kind"] == "Profile"]
    text = yaml.safe_dump(ours)
    assert read_bundle("f", text.encode()) == Bundle((WEB,))
    assert ": 0.1.0\n" in text, "which readers of YAML agree about: it is no number"


def test_an_edited_profile_in_a_list_is_refused_at_its_line():
    (ours,) = [d for d in yaml.safe_load_all(WHOLE) if d["kind"] == "Profile"]
    text = listed(STOCK, ours)
    assert text.count("destination") >= 2
    edited = text.replace("- 80", "- 81")
    assert edited != text
    with pytest.raises(CompileError) as caught:
        read_bundle("f", edited.encode())
    (problem,) = caught.value.diagnostics
    assert problem.code == "CR513"
    line = edited.splitlines()[problem.span.line - 1]
    assert line.startswith("- apiVersion")
    assert problem.span.line > 2


@pytest.mark.parametrize("word", ["1.0", "1e3", ".5", "0x10", "1_000", "+1", "1.", "0.1_0"])
def test_words_that_readers_disagree_about_are_refused_still(word):
    with pytest.raises(CompileError):
        read_bundle("f", f"{HEAD}spec: {{cidr: 10.0.0.0/8, nodeSelector: {word}}}\n".encode())
