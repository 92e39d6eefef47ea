"""calico-rkt check --watch: edited files are checked again, as long as somebody looks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from calico_rkt.compiler.cli.watch import fingerprint

CONF = '{"name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}'
GOOD = "network: web\ningress:\n  - default\n"
BAD = "network: web\ningress:\n  - {action: Alow}\n"


@pytest.fixture
def net(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "web.conf").write_text(CONF)
    (tmp_path / "profiles" / "web.yaml").write_text(GOOD)
    return tmp_path


def until(stream, words):
    """What was said up to a line that has the words in it."""
    said = ""
    for line in stream:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def test_each_change_is_answered_and_ctrl_c_ends(net):
    command = [sys.executable, "-u", "-m", "calico_rkt", "check", "-C", str(net), "--watch"]
    override = net / "profiles" / "web.yaml"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as check:
        try:
            assert "nothing to say" in until(check.stdout, "waiting for a change")
            override.write_text(BAD)
            said = until(check.stdout, "waiting for a change")
            assert f"changed: {override}" in said
            assert "web.yaml:3:" in said
            override.unlink()
            said = until(check.stdout, "waiting for a change")
            assert f"changed: {net}/profiles, {override}" in said
            assert "nothing to say" in said
            (net / "web.conf").write_text("{")
            assert "CR121" in until(check.stdout, "waiting for a change")
            (net / "web.conf").write_text(CONF)
            assert "nothing to say" in until(check.stdout, "waiting for a change")
            check.send_signal(signal.SIGINT)
            assert "Traceback" not in check.stdout.read()
        finally:
            check.kill()
    assert check.returncode == 130


@pytest.mark.parametrize("more", [["--format", "json"], ["--revision", "HEAD"], ["--write-baseline"]])
def test_what_is_no_folder_for_people_is_refused(net, more):
    command = [sys.executable, "-m", "calico_rkt", "check", "-C", str(net), "--watch", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--watch is for people who edit files" in done.stderr


def test_a_fingerprint_differs_where_a_file_does(tmp_path):
    def taken():
        return fingerprint([str(tmp_path), str(tmp_path / "none"), "a\0b"])

    seen = [taken()]
    file = tmp_path / "web.yaml"
    file.write_text("a")
    seen.append(taken())
    os.utime(file, ns=(1, 1))
    seen.append(taken())
    file.rename(tmp_path / "api.yaml")
    seen.append(taken())
    (tmp_path / "api.yaml").unlink()
    (tmp_path / "api.yaml").symlink_to("nowhere")
    seen.append(taken())
    for n, one in enumerate(seen):
        assert one not in seen[:n]
    assert Path(next(iter(seen[0]))) == tmp_path
