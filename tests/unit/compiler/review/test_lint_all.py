"""Findings about lines that several networks use, and about what nobody could meet: a folder in, findings out."""

from pathlib import Path

import pytest

from calico_rkt.compiler.diagnostics import Severity
from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.workspace.folder import open_folder

CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}'
)

SETTINGS = """settings:
  default:
    ingress: [{action: Allow, source: {network: self}}]
    egress:
      - {action: Deny, destination: {nets: [169.254.169.254/32]}}
      - {action: Allow}
"""
OWN = "network: web\negress:\n  - {action: Deny, destination: {nets: [169.254.169.254/32]}}\n  - default\n"


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "web.conf").write_text(CONF)
    (tmp_path / "profiles").mkdir()
    return tmp_path


def told(workspace):
    return check_workspace(open_folder(workspace, {}))


def shared(workspace, *names):
    for name in names:
        subnet = f"10.{len(name)}.0.0/24"
        (workspace / f"{name}.conf").write_text(CONF.replace('"web"', f'"{name}"').replace("10.7.0.0/24", subnet))
    (workspace / "profiles" / "settings.yaml").write_text(SETTINGS)


def test_a_line_that_another_network_needs_is_no_finding(workspace):
    shared(workspace, "base")
    (workspace / "profiles" / "web.yaml").write_text(OWN)
    found = told(workspace)
    assert [(Path(d.span.path).name, d.span.line, d.code) for d in found] == [("web.yaml", 3, "CR802")]


def test_a_line_that_no_network_needs_is_one_finding_that_names_them_all(workspace):
    shared(workspace, "base")
    for name in ("web", "base"):
        (workspace / "profiles" / f"{name}.yaml").write_text(OWN.replace("web", name))
    found = told(workspace)
    (one,) = [d for d in found if d.span and d.span.path.endswith("settings.yaml")]
    assert (one.code, one.span.line) == ("CR801", 5)
    for name in ("web", "base"):
        assert f"in '{name}' by {workspace}/profiles/{name}.yaml:3" in one.message


def test_a_shared_line_that_changes_nothing_anywhere_names_the_networks(workspace):
    shared(workspace, "base")
    path = workspace / "profiles" / "settings.yaml"
    path.write_text(SETTINGS.replace("action: Deny", "action: Allow"))
    found = told(workspace)
    (one,) = found
    assert one.code == "CR802"
    assert one.message.endswith("; in all networks that use it: 'base' and 'web'")


def test_where_a_network_does_not_compile_nothing_is_claimed_about_the_lines_it_may_use(workspace):
    shared(workspace, "base")
    (workspace / "profiles" / "web.yaml").write_text(OWN)
    (workspace / "profiles" / "base.yaml").write_text("network: base\nwrong: 1\n")
    found = told(workspace)
    assert any(d.severity is Severity.ERROR for d in found)
    assert not [d for d in found if d.span and d.span.path.endswith("settings.yaml")]


@pytest.mark.parametrize(
    "rule, what",
    [("{action: Allow}", "everything"), ("{action: Allow, ipVersion: 4}", "everything of IPv4"),
     ("{action: Allow, source: {nets: [0.0.0.0/0]}}", "everything of IPv4"),
     ('{action: Allow, source: {nets: [0.0.0.0/0, "::/0"]}}', "everything")],
)  # fmt: skip
def test_a_rule_that_lets_in_everything_is_one_however_it_says_so(workspace, rule, what):
    (workspace / "profiles" / "web.yaml").write_text(f"network: web\ningress:\n  - {rule}\n")
    found = told(workspace)
    assert f"this rule lets in {what}, from everywhere" in [d.message for d in found if d.code == "CR804"]


def test_where_a_conf_can_not_be_read_nothing_is_claimed_about_the_lines_it_may_use(workspace):
    shared(workspace)
    (workspace / "profiles" / "web.yaml").write_text(OWN)
    assert of_settings(told(workspace))
    (workspace / "broken.conf").write_text('{"type": "calico", "name": ')
    assert not of_settings(told(workspace))


def of_settings(found):
    return [d for d in found if d.span and d.span.path.endswith("settings.yaml")]


def test_a_network_that_the_default_rules_misspell_is_told_as_one_of_an_override_is(workspace):
    shared(workspace, "monitoring")
    path = workspace / "profiles" / "settings.yaml"
    path.write_text(SETTINGS.replace("network: self", "network: [self, monitorin]"))
    (one,) = [d for d in told(workspace) if d.code in ("CR705", "CR540")]
    assert (one.code, one.hint) == ("CR540", "did you mean monitoring?")


@pytest.mark.parametrize("name", ["host", "outside"])
def test_a_rule_about_who_is_no_network_is_told_what_to_write(workspace, name):
    (workspace / "profiles" / "web.yaml").write_text(
        f"network: web\ningress: [{{action: Allow, source: {{network: {name}}}}}]\n"
    )
    (one,) = [d for d in told(workspace) if d.code == "CR540"]
    assert f"no word for the {name}" in one.hint


@pytest.mark.parametrize(
    ("rules", "codes"),
    [
        # What a Log would have to say more is something that changes.
        (["action: Deny, protocol: TCP, destination: {ports: [22]}", "action: Log"], []),
        (
            ["action: Allow, protocol: TCP, destination: {ports: [80]}", "action: Log", "action: Allow, protocol: TCP"],
            [],
        ),
        (["action: Deny, protocol: TCP", "action: Log, protocol: UDP"], ["CR802"]),
        (["action: Deny, protocol: TCP", "action: Deny", "action: Log"], ["CR802", "CR802", "CR801"]),
        (["action: Deny, protocol: TCP", "action: Log, protocol: TCP"], ["CR802", "CR801"]),
        (["action: Log", "action: Deny, protocol: TCP"], ["CR802"]),
    ],
)
def test_a_rule_that_keeps_packets_from_a_log_is_not_idle(workspace, rules, codes):
    lines = "".join(f"  - {{{rule}}}\n" for rule in rules)
    (workspace / "profiles" / "web.yaml").write_text(f"network: web\ningress:\n{lines}")
    assert [d.code for d in sorted(told(workspace), key=lambda d: d.span.line) if d.code != "CR804"] == codes


PARTS = "".join(f"  - {{action: Deny, destination: {{nets: [10.{n}.0.0/11]}}}}\n" for n in range(0, 256, 32))


def test_a_shared_line_of_which_one_network_gives_up_is_told(workspace, monkeypatch):
    """Idle in the one, and in the other nobody knows: to say nothing would mean that one of them needs it."""
    shared(workspace, "base")
    (workspace / "profiles" / "settings.yaml").write_text(SETTINGS.replace("169.254.169.254/32", "10.0.0.0/8"))
    (workspace / "profiles" / "base.yaml").write_text(f"network: base\negress:\n{PARTS}  - default\n")
    (workspace / "profiles" / "web.yaml").write_text(OWN.replace("169.254.169.254/32", "10.0.0.0/8"))
    assert [d.code for d in told(workspace) if d.span.path.endswith("settings.yaml")] == ["CR801"]
    monkeypatch.setattr("calico_rkt.compiler.review.lint.QUESTION", 9)
    (one,) = [d for d in told(workspace) if d.span.path.endswith("settings.yaml") and d.span.line == 5]
    assert one.code == "CR805"
    assert one.message.endswith("; in 'base'")
