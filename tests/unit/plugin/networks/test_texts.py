"""What is written for each runtime: confs of which nothing is to be said, an override that changes nothing as it is."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from calico_rkt.plugin.commands.tree import main
from calico_rkt.plugin.networks.runtimes import RUNTIMES
from calico_rkt.plugin.networks.texts import conf_text, override_text

NETS = [ip_network("10.91.0.0/24"), ip_network("fd00:91::/64")]


def workspace(folder: Path, name: str, override: str = "") -> Path:
    runtime = RUNTIMES["podman"]
    (folder / "profiles").mkdir(parents=True)
    (folder / "10-web.conflist").write_text(conf_text(name, NETS[:1], runtime))
    (folder / "20-other.conflist").write_text(conf_text("OTHER", [ip_network("10.92.0.0/24")], runtime))
    if override:
        (folder / "profiles" / f"{name}.yaml").write_text(override)
    return folder


@pytest.mark.parametrize("whom", RUNTIMES)
@pytest.mark.parametrize("count", [1, 2])
def test_nothing_is_to_be_said_of_a_new_network(
    whom: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = RUNTIMES[whom]
    conf = tmp_path / f"10-web{'.conflist' if runtime.listed else '.conf'}"
    conf.write_text(conf_text("web", NETS[:count], runtime))
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "web.yaml").write_text(override_text("web"))
    assert main(["check", str(tmp_path)]) == 0
    assert "1 network checked: nothing to say" in capsys.readouterr().out
    assert max(map(len, conf.read_text().splitlines())) < 200, "for people, too"


@pytest.mark.parametrize("name", ["web", "x" * 63, "Web_2.b", "010", "no", "1e3", "a-0123abcd"])
def test_a_first_override_is_the_default_whatever_the_network_is_called(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = workspace(tmp_path / "bare", name)
    written = workspace(tmp_path / "written", name, override_text(name))
    assert main(["check", str(written)]) == 0
    assert main(["diff", str(bare), str(written)]) == 0, capsys.readouterr().out


def test_each_rule_in_its_comments_can_be_used_as_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who takes away the marks of all of them has rules, of which nothing is to be said."""
    used = re.sub(r"(?m)^  # (?=[- ] )", "  ", override_text("web"))
    assert used.count("action:") == 3
    folder = workspace(tmp_path / "used", "web", used)
    assert main(["check", str(folder)]) == 0, capsys.readouterr().out
    capsys.readouterr()
    main(["explain", "OTHER", "web", "tcp/8080", "-C", str(folder)])
    main(["explain", "outside", "web", "tcp/8080", "-C", str(folder)])
    said = capsys.readouterr().out
    assert said.count("ALLOWED") == 2, said
