"""What a diff names as the cause, and the line where a reviewer's tools show it: in every format."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from calico_rkt.compiler.cli.commands import review

CONF = """\
{"cniVersion": "1.0.0", "name": "%s", "type": "calico",
 "ipam": {"type": "host-local",
          "subnet": "%s"}}
"""
RULE = "  - {action: Allow, protocol: TCP, source: {nets: [%s]}, destination: {ports: [22]}}\n"


class Sides:
    """Two folders, old and new; new begins as old is."""

    def __init__(self, capsys):
        self.capsys = capsys

    def write(self, path, text, sides=("old", "new")):
        for side in sides:
            there = Path(side, path)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(text)

    def network(self, name, subnet, rules=None, sides=("old", "new"), head="", tail="  - default\n"):
        self.write(f"{name}.conf", CONF % (name, subnet), sides)
        if rules is not None:
            self.write(f"profiles/{name}.yaml", f"{head}network: {name}\ningress:\n{rules}{tail}", sides)

    def diff(self, style="text", status=1):
        assert review("diff", ["old", "new", "--format", style]) == status
        return self.capsys.readouterr().out

    def changes(self):
        return json.loads(self.diff("json"))["changes"]

    def annotated(self):
        """The places of both formats that annotate; they are the same."""
        lines = re.findall(r"::warning (?:file=(.*?),line=(\d+),)?.*?title", self.diff("github"))
        results = json.loads(self.diff("sarif"))["runs"][0]["results"]
        places = [r["locations"][0]["physicalLocation"] for r in results]
        scanned = [(p["artifactLocation"]["uri"], str(p["region"]["startLine"])) for p in places]
        assert sorted(lines) == sorted(scanned)
        return sorted(f"{path}:{line}" for path, line in lines)


@pytest.fixture
def sides(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    return Sides(capsys)


def definitions(office):
    return f"definitions:\n  nets:\n    lab: [192.0.2.0/25]\n    office: [{office}]\n"


def test_a_changed_definition_is_one_row_at_its_line_with_the_rules_that_use_it(sides):
    names = [f"n{n}" for n in range(12)]
    for n, name in enumerate(names):
        sides.network(name, f"10.{n}.0.0/24", RULE % "office")
    sides.write("profiles/common.yaml", definitions("198.51.100.0/24"), ["old"])
    sides.write("profiles/common.yaml", definitions("198.51.100.0/24, 203.0.113.0/24"), ["new"])
    (change,) = sides.changes()
    assert (change["from"], sorted(change["to"])) == (["outside"], sorted(names))
    (cause,) = change["causes"]
    assert (cause["what"], cause["line"]) == ("the definition office", "new/profiles/common.yaml:4")
    assert {f"new/profiles/{n}.yaml:3" for n in names} == set(cause["rules"])
    assert {p["to"] for p in change["parts"]} == set(names)
    assert sides.annotated() == ["new/profiles/common.yaml:4"]
    text = sides.diff()
    assert "because  new/profiles/common.yaml:4 the definition office changed, used by new/profiles/n0.yaml:3, " in text
    assert " and 6 more\n" in text
    assert "because: new/profiles/common.yaml:4" in sides.diff("markdown")


def test_a_rule_that_changed_beside_its_definition_is_a_cause_too(sides):
    sides.network("web", "10.1.0.0/24", RULE % "office", ["old"])
    sides.network("web", "10.1.0.0/24", RULE % "office, 192.0.2.0/24", ["new"])
    sides.write("profiles/common.yaml", definitions("198.51.100.0/24"), ["old"])
    sides.write("profiles/common.yaml", definitions("198.51.100.0/24, 203.0.113.0/24"), ["new"])
    causes = {(c["what"], c["line"]) for change in sides.changes() for c in change["causes"]}
    assert ("the definition office", "new/profiles/common.yaml:4") in causes
    assert ("a rule", "new/profiles/web.yaml:3") in causes


def test_where_a_deny_is_removed_the_line_that_decides_now_is_annotated(sides):
    deny = "  - {action: Deny, source: {nets: [198.51.100.0/24]}}\n"
    both = "  - {action: Allow, protocol: TCP, destination: {ports: [80, 443]}}\n"
    both += "  - {action: Allow, protocol: UDP, destination: {ports: [443]}}\n"
    sides.network("web", "10.1.0.0/24", deny + both, ["old"])
    sides.network("web", "10.1.0.0/24", both, ["new"])
    assert sides.annotated() == ["new/profiles/web.yaml:3", "new/profiles/web.yaml:4"]
    for c in sides.changes():
        assert c["causes"] == [{"what": "a rule", "line": "old/profiles/web.yaml:3", "gone": True, "rules": []}]
        assert c["place"] == c["after"]["stages"][-1]["line"]
    text = sides.diff()
    assert "because  old/profiles/web.yaml:3 a rule went\n" in text
    assert "now      allowed: ingress of web: new/profiles/web.yaml:4 Allow UDP to port 443\n" in text


def test_where_an_allow_is_removed_and_none_decides_the_override_is_annotated(sides):
    sides.network("web", "10.1.0.0/24", RULE % "198.51.100.0/24", ["old"])
    sides.network("web", "10.1.0.0/24", "", ["new"])
    assert sides.annotated() == ["new/profiles/web.yaml:1"]


def test_where_the_override_is_removed_the_conf_is_annotated(sides):
    sides.network("web", "10.1.0.0/24", RULE % "198.51.100.0/24", ["old"])
    sides.network("web", "10.1.0.0/24", None, ["new"])
    assert sides.annotated() == ["new/web.conf:3"]


def test_every_way_in_which_packets_of_one_flow_are_decided_is_named(sides):
    deny = "  - {action: Deny, source: {nets: [198.51.100.0/24]}}\n"
    rest = "".join(f"  - {{action: Allow, protocol: {p}}}\n" for p in ("TCP", "UDP", "SCTP"))
    rest += "  - {action: Allow}\n"
    sides.network("web", "10.1.0.0/24", deny + rest, ["old"], tail="")
    sides.network("web", "10.1.0.0/24", rest, ["new"], tail="")
    (change,) = sides.changes()
    assert change["words"] == "outside -> web: everything from 198.51.100.0/24"
    assert {p["after"]["stages"][0]["line"] for p in change["parts"]} == {
        f"new/profiles/web.yaml:{n}" for n in (3, 4, 5, 6)
    }
    text = sides.diff()
    for n in (3, 4, 5, 6):
        assert f"allowed: ingress of web: new/profiles/web.yaml:{n} Allow" in text


def test_the_default_of_the_settings_is_a_cause(sides):
    for n in (1, 2, 3):
        sides.network(f"n{n}", f"10.{n}.0.0/24")
    sides.write("profiles/settings.yaml", "# ours\nsettings:\n  default: isolated\n", ["new"])
    assert set(sides.annotated()) == {"new/profiles/settings.yaml:3"}
    assert "new/profiles/settings.yaml:3 settings: default changed, used by same-network.yaml:" in sides.diff()


def test_a_range_of_a_conf_is_a_cause(sides):
    sides.network("web", "10.1.0.0/24", RULE % "198.51.100.0/24")
    sides.network("web", "10.9.0.0/24", RULE % "198.51.100.0/24", ["new"])
    assert set(sides.annotated()) == {"new/web.conf:3"}
    assert "because  new/web.conf:3 the conf of web changed" in sides.diff()


def test_endpoint_to_host_is_a_cause(sides):
    sides.network("web", "10.1.0.0/24", "")
    sides.network("web", "10.1.0.0/24", "", ["new"], tail="  - default\n\nendpoint_to_host: accept\n")
    assert sides.annotated() == ["new/profiles/web.yaml:5"]
    assert "because  new/profiles/web.yaml:5 endpoint_to_host of web changed\n" in sides.diff()


def test_text_that_only_moved_says_so(sides):
    sides.network("web", "10.1.0.0/24", RULE % "198.51.100.0/24")
    assert sides.diff(status=0).endswith("same packets allowed: nothing differs\n")
    sides.network("web", "10.1.0.0/24", RULE % "198.51.100.0/24", ["new"], head="# moved\n\n")
    assert sides.diff(status=0).endswith(
        "same packets allowed: nothing differs but the text of new/profiles/web.yaml\n"
    )
    assert json.loads(sides.diff("json", status=0))["files_changed"] == ["new/profiles/web.yaml"]


def test_what_a_conf_says_beside_its_addresses_is_told(sides):
    """`nothing differs` would be read as such."""
    sides.network("web", "10.1.0.0/24")
    masked = (CONF % ("web", "10.1.0.0/24")).replace('"type": "calico"', '"type": "calico", "ipMasq": true')
    sides.write("web.conf", masked, ["new"])
    assert sides.diff(status=0).endswith(
        "the conf of web differs: ipMasq\nsame packets allowed: nothing else differs\n"
    )
    found = json.loads(sides.diff("json", status=0))
    assert found["confs_changed"] == [{"network": "web", "keys": ["ipMasq"]}]
    sides.network("web", "10.9.0.0/24", sides=["new"])
    assert " differs: " not in sides.diff(), "its addresses are told as such"
    unguarded = (CONF % ("web", "10.9.0.0/24")).replace('"type": "host-local"', '"type": "host-local", "guard": false')
    sides.write("web.conf", unguarded, ["new"])
    assert "the conf of web differs: ipam\n" in sides.diff()


def test_a_file_of_each_folder_counts_though_two_have_one_name(sides):
    conf = (CONF % ("web", "10.1.0.0/24")).replace('"type": "calico"', '"type": "calico", "profiles_dir": "/srv/team"')
    sides.write("web.conf", conf)
    sides.write("profiles/s.yaml", "settings: {profiles_dirs: {/srv/team: team}}\n")
    sides.write("team/s.yaml", "settings: {default: same-network}\n")
    sides.write("profiles/s.yaml", "settings: {profiles_dirs: {/srv/team: team}}  # ours\n", ["new"])
    assert "nothing differs but the text of new/profiles/s.yaml\n" in sides.diff(status=0)


def test_a_log_that_went_is_annotated_in_the_new_revision(sides):
    sides.network("web", "10.1.0.0/24", "  - {action: Log, protocol: TCP}\n", ["old"])
    sides.network("web", "10.1.0.0/24", "", ["new"])
    github = sides.diff("github", status=0)
    assert github.startswith("::notice file=new/profiles/web.yaml,line=1,"), github
    assert "logging differs: ingress of web%0Alines: old/profiles/web.yaml:3\n" in github
    sides.network("web", "10.1.0.0/24", "  - {action: Log, protocol: UDP}\n", ["new"])
    assert "::notice file=new/profiles/web.yaml,line=3," in sides.diff("github", status=0)


def test_between_two_revisions_the_place_is_the_file_s_own(sides, tmp_path):
    def git(*args):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *args], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for rules in ("  - {action: Deny, source: {nets: [198.51.100.0/24]}}\n", ""):
        sides.network("web", "10.1.0.0/24", rules, ["net.d"], tail="  - {action: Allow}\n")
        git("add", "-A")
        git("commit", "-qm", "one")
    for style, place in (("github", "file=net.d/profiles/web.yaml,line=3,"), ("sarif", '"net.d/profiles/web.yaml"')):
        assert review("diff", ["HEAD~1", "HEAD", "-C", "net.d", "--format", style]) == 1
        assert place in sides.capsys.readouterr().out


def test_a_changed_definition_of_ports_is_a_cause(sides):
    rule = "  - {action: Allow, protocol: TCP, destination: {ports: [web]}}\n"
    sides.network("web", "10.1.0.0/24", rule)
    for side, ports in (("old", "80"), ("new", "80, 443")):
        sides.write("profiles/common.yaml", f"definitions:\n  ports:\n    web: [{ports}]\n", [side])
    assert set(sides.annotated()) == {"new/profiles/common.yaml:3"}


def test_of_two_definitions_that_changed_only_those_that_a_flow_hangs_on_are_named(sides):
    names = "definitions:\n  nets:\n    office: [%s]\n  ports:\n    web: [%s]\n"
    rule = "  - {action: Allow, protocol: TCP, source: {nets: [office]}, destination: {ports: [web]}}\n"
    for n in ("a", "b"):
        sides.network(n, f"10.{ord(n)}.0.0/24", rule)
    sides.write("profiles/names.yaml", names % ("192.0.2.0/24", "80"), ("old",))
    sides.write("profiles/names.yaml", names % ("192.0.2.0/24, 198.51.100.0/24", "80, 443"), ("new",))
    found = {c["words"]: c for c in sides.changes()}
    assert len(found) == 2
    for words, change in found.items():
        causes = [c["what"] for c in change["causes"]]
        if "198.51.100.0/24" in words:
            assert causes == ["the definition office", "the definition web"]
        else:
            assert causes == ["the definition web"], "192.0.2.0/24 was in office before"
            assert change["place"].endswith("names.yaml:5")


def test_each_of_two_definitions_in_one_field_answers_for_its_own_addresses(sides):
    names = "definitions:\n  nets:\n    lab: [%s]\n    office: [%s]\n"
    sides.network("a", "10.1.0.0/24", "  - {action: Allow, source: {nets: [office, lab]}}\n")
    sides.write("profiles/names.yaml", names % ("192.0.2.0/25", "198.51.100.0/25"), ("old",))
    sides.write("profiles/names.yaml", names % ("192.0.2.0/25", "198.51.100.0/24"), ("new",))
    (change,) = sides.changes()
    assert [c["what"] for c in change["causes"]] == ["the definition office"]


def test_a_narrower_definition_that_a_denied_flow_hangs_on_is_named_alone(sides):
    names = "definitions:\n  nets:\n    office: [%s]\n  ports:\n    web: [%s]\n"
    rule = "  - {action: Allow, protocol: TCP, source: {nets: [office]}, destination: {ports: [web]}}\n"
    sides.network("a", "10.1.0.0/24", rule)
    sides.write("profiles/names.yaml", names % ("192.0.2.0/24", "80, 443"), ("old",))
    sides.write("profiles/names.yaml", names % ("192.0.2.0/24, 198.51.100.0/24", "80"), ("new",))
    denied = [c for c in sides.changes() if c["change"] == "denied"]
    assert [[c["what"] for c in change["causes"]] for change in denied] == [["the definition web"]]
