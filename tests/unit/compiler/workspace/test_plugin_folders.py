"""Plugins in a folder beside a list: which lists have any, and what is said."""

import json

import pytest

from calico_rkt.compiler.workspace.folder import open_folder
from calico_rkt.compiler.workspace.plugin_folders import plugin_folders

OURS = {"type": "calico", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}
PORTMAP = {"type": "portmap"}


def said(folder, listed, beside, **keys):
    (folder / "web.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": "web", "plugins": listed} | keys))
    for name, plugin in beside.items():
        (folder / "web").mkdir(exist_ok=True)
        (folder / "web" / name).write_text(json.dumps(plugin))
    return [d.code for d in open_folder(folder, {}).diagnostics if d.code in ("CR227", "CR228")]


@pytest.mark.parametrize(
    ("beside", "keys", "told"),
    [
        ({"10-portmap.conf": PORTMAP}, {}, ["CR227"]),
        ({"10-portmap.conf": PORTMAP}, {"loadOnlyInlinedPlugins": True}, []),
        ({"10-portmap.conf": PORTMAP}, {"loadOnlyInlinedPlugins": "True"}, []),
        ({"10-portmap.json": PORTMAP}, {}, []),
        ({}, {}, []),
    ],
)
def test_plugins_beside_a_list_of_ours_are_told(tmp_path, beside, keys, told):
    assert said(tmp_path, [OURS], beside, **keys) == told


def test_ours_beside_a_list_of_others_is_a_network_that_is_not_known(tmp_path):
    (tmp_path / "own.conf").write_text(json.dumps({"name": "own", **OURS}))
    assert said(tmp_path, [PORTMAP], {"10-calico.conf": OURS}) == ["CR228"]
    assert said(tmp_path, [PORTMAP], {"10-calico.conf": PORTMAP}) == []


def test_a_name_leads_nowhere_else(tmp_path):
    (tmp_path / "10-portmap.conf").write_text(json.dumps(PORTMAP))
    for name in (".", "..", "a/../..", "", 1, None):
        lists = {"web.conflist": json.dumps({"name": name, "plugins": [OURS]}).encode()}
        assert not list(plugin_folders(tmp_path / "inside", lists))
        assert not list(plugin_folders(tmp_path, lists))
