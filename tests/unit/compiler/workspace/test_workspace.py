import os
from pathlib import Path

import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.grammar.defaults import BUILT_IN
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.workspace.files import read_file, read_profiles
from calico_rkt.compiler.workspace.policy import built_in_rules, parse_files, policy_for


def policy(network="web", **files):
    return policy_for(network, parse_files({f"{name}.yaml": text.encode() for name, text in files.items()}))


def errors(found):
    return [d.code for d in found.diagnostics if d.is_error]


def test_a_file_is_what_its_content_says_whatever_its_name():
    found = policy(definitions="network: web\negress: []\n", web="settings: {default: open}\n")
    assert found.override is not None
    assert found.override.egress == ()
    assert found.defaults.name == "open"


def test_a_network_may_be_called_like_any_word_of_the_grammar():
    for name in ("open", "definitions", "settings", "default", "null", "no", "self"):
        found = policy(name, x=f"network: '{name}'\ningress:\n  - {{action: Allow, source: {{network: '{name}'}}}}\n")
        assert found.override is not None, name
        assert errors(found) == []


def test_an_error_in_another_networks_override_is_not_ours():
    assert errors(policy(db="network: db\ningress: 7\n")) == []


@pytest.mark.parametrize(
    "text", ["network: [web", "ingress: []\n", "", "network: \n", "network: [web]\n", "- network: web\n"]
)
def test_a_file_that_could_be_anybodys_override_stops_every_network(text):
    assert errors(policy(x=text))


def test_a_misnamed_plain_profile_stops_the_network_that_it_is_meant_for():
    text = (
        'apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: Web_1}\nspec: {labelsToApply: {Web_1: ""}}\n'
    )
    assert errors(policy("Web_1", x=text)) == ["CR333"]
    assert errors(policy("web", x=text)) == []


@pytest.mark.parametrize("name", ["web", "Web_1", "a-12345678", "A-12345678", "x" * 64, "ä", "kns.x"])
def test_a_plain_profile_is_found_by_the_networks_id(name):
    the_id = object_id(name)
    text = (
        f"apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {{name: {the_id}}}\n"
        f'spec: {{egress: [{{action: Allow}}], labelsToApply: {{{the_id}: ""}}}}\n'
    )
    found = policy(name, x=text)
    assert errors(found) == []
    assert found.override is not None
    assert found.override.network == name
    assert found.override.ingress == ()


def test_two_files_for_one_network_are_an_error_and_name_both():
    found = policy(a="network: web\n", b="network: web\n")
    (second,) = [d for d in found.diagnostics if d.code == "CR702"]
    assert second.span.path == "b.yaml"
    assert "a.yaml" in second.message


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_set_loads_and_shows_its_own_file(name):
    rules = built_in_rules(name)
    assert {r.span.path for r in (*rules.ingress, *rules.egress)} <= {f"{name}.yaml"}


def test_yaml_files_of_a_folder_are_read_and_nothing_else(tmp_path):
    for name in ("a.yaml", "b.yml", "c.json", "d.yaml.bak", ".e.yaml", "README"):
        (tmp_path / name).write_text("network: web\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "f.yaml").write_text("network: web\n")
    assert [Path(p).name for p in read_profiles(tmp_path)] == ["a.yaml", "b.yml"]


def test_a_missing_folder_has_no_files():
    assert read_profiles(Path("/nonexistent/profiles")) == {}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda p: p.symlink_to("nowhere")])
def test_what_is_no_readable_file_is_an_error_and_never_waited_for(tmp_path, make):
    make(tmp_path / "web.yaml")
    with pytest.raises(CompileError) as caught:
        read_profiles(tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["CR708"]


def test_a_file_in_the_folders_place_is_an_error(tmp_path):
    (tmp_path / "profiles").write_text("")
    with pytest.raises(CompileError) as caught:
        read_profiles(tmp_path / "profiles")
    assert caught.value.diagnostics[0].code == "CR701"


def test_a_path_with_a_nul_is_an_error_like_any_other():
    with pytest.raises(CompileError):
        read_file(Path("a\0b"))
