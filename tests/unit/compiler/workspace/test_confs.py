"""Which files of a folder are confs of ours, told by as little of them as says so."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.conf.shape import Shape, shape_of
from calico_rkt.compiler.workspace.confs import conf_files, nearly_confs, read_confs
from calico_rkt.compiler.workspace.unread import too_deep, unread_beside

WEB = {"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
PLUGIN = {"type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
FOREIGN = st.text(max_size=8).filter(lambda t: t not in ("", "calico"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.text(max_size=5).filter(lambda k: k.lower() not in ("type", "plugins", "name"))
OTHER_KEYS = st.dictionaries(KEYS, VALUES, max_size=3)


def listed(*plugins, **keys):
    return {"cniVersion": "1.0.0", "name": "web", "plugins": list(plugins), **keys}


@given(FOREIGN, OTHER_KEYS, st.sampled_from([".conf", ".conflist", ".json"]), st.booleans())
def test_another_plugins_conf_is_passed_over_whatever_else_it_holds(kind, keys, suffix, in_list):
    conf = {**keys, "type": kind}
    text = json.dumps(listed(conf, **keys) if in_list else conf).encode()
    assert not shape_of(f"x{suffix}", text).ours
    found = read_confs({f"x{suffix}": text}, {})
    assert (found.confs, found.unusable, found.diagnostics) == ((), (), ())


@given(OTHER_KEYS, st.sampled_from([".conf", ".conflist", ".json"]), st.sampled_from(["type", "Type", "TYPE"]))
def test_our_type_is_seen_in_any_case_of_its_key_and_never_without_a_word(keys, suffix, key):
    text = json.dumps({**keys, "name": "web", key: "calico"}).encode()
    assert shape_of(f"x{suffix}", text) == Shape(ours=True, name="web")
    found = read_confs({f"x{suffix}": text}, {})
    assert [u.name for u in found.unusable] == ["web"]  # it has no ipam


@given(st.integers(0, 200), st.sampled_from([".conf", ".conflist"]))
def test_a_conf_of_ours_cut_anywhere_is_told(cut, suffix):
    text = json.dumps(listed(PLUGIN) if suffix == ".conflist" else WEB)
    cut = cut % len(text)
    found = read_confs({f"x{suffix}": text[:cut].encode()}, {})
    assert len(found.unusable) == 1
    assert found.unusable[0].name in ("", "web")


@pytest.mark.parametrize(
    ("name", "conf", "code", "subnet"),
    [
        ("a.conf", listed(PLUGIN), "CR219", "10.1.0.0/24"),
        ("a.json", listed(PLUGIN), "CR219", "10.1.0.0/24"),
        ("a.conflist", WEB, "CR220", "10.1.0.0/24"),
        (
            "a.conflist",
            {**WEB, **listed({**PLUGIN, "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}})},
            "CR221",
            "10.7.0.0/24",
        ),
        (
            "a.conf",
            {**WEB, **listed({**PLUGIN, "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}})},
            "CR221",
            "10.1.0.0/24",
        ),
        ("a.conf", WEB, None, "10.1.0.0/24"),
        ("a.json", WEB, None, "10.1.0.0/24"),
        ("a.conflist", listed(PLUGIN), None, "10.1.0.0/24"),
    ],
)
def test_a_file_is_judged_by_what_runtimes_read_of_it_and_a_suffix_that_does_not_fit_is_told(name, conf, code, subnet):
    found = read_confs({name: json.dumps(conf).encode()}, {})
    assert [str(c.ipam.ranges[0][0].subnet) for c in found.confs] == [subnet]
    assert [d.code for d in found.diagnostics] == ([code] if code else [])


@pytest.mark.parametrize("text", ['{"name": "x"}', '{"plugins": ["react"]}', "{", "[1]", '{"type": "module"}'])
def test_a_json_file_without_a_word_of_ours_is_no_conf(text):
    found = read_confs({"package.json": text.encode()}, {})
    assert (found.confs, found.unusable) == ((), ())


def test_hidden_files_are_confs_as_runtimes_read_them_and_folders_are_told(tmp_path):
    (tmp_path / ".web.conf").write_text(json.dumps(WEB))
    (tmp_path / "zz.conf").mkdir()
    (tmp_path / "zz.json").mkdir()
    os.mkfifo(tmp_path / "pipe.conf")
    unusable = []
    found = read_confs(conf_files(tmp_path, unusable), {}, tuple(unusable))
    assert [c.name for c in found.confs] == ["web"]
    assert [u.path for u in found.unusable] == [str(tmp_path / "pipe.conf"), str(tmp_path / "zz.conf")]


def test_a_conf_with_its_suffix_in_another_case_is_told(tmp_path):
    (tmp_path / "web.CONF").write_text(json.dumps(WEB))
    (tmp_path / "nginx.Conf").write_text('{"type": "bridge"}')
    assert [d.path for d in nearly_confs(tmp_path)] == [str(tmp_path / "web.CONF")]


def test_etcd_without_endpoints_is_an_error_where_the_environment_is_known_and_else_told():
    text = json.dumps({**WEB, "datastore_type": "etcdv3"}).encode()
    here, elsewhere = read_confs({"a.conf": text}, {}), read_confs({"a.conf": text}, None)
    assert [d.code for u in here.unusable for d in u.diagnostics] == ["CR202"]
    assert [d.code for d in elsewhere.diagnostics] == ["CR222"]
    there = read_confs({"a.conf": text}, {"ETCD_ENDPOINTS": "http://127.0.0.1:2379"})
    assert (there.unusable, there.diagnostics) == ((), ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("network: web\n", True),
        ("# why\n\nnetwork: web\n", True),
        ('{"network": "web"}', True),
        ("{network: web, egress: []}\n", True),
        ("apiVersion: projectcalico.org/v3\r\nkind: Profile\r\n", True),
        ("settings: {default: isolated}\n", True),
        ("services:\n  web:\n    network: host\n", False),
        ("networks: {}\n", False),
        ("kind: Deployment\n", False),
        ("", False),
    ],
)
def test_a_stray_file_is_told_where_it_says_what_an_override_says(text, told):
    assert bool(unread_beside({"x.yaml": text.encode()}, [])) is told
    assert bool(too_deep({"x.yaml": text.encode()}, [])) is told
