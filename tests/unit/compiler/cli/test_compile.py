import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from calico_rkt import __version__
from calico_rkt.compiler.cli import compile_profile

CONF = json.dumps(
    {"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}}
)
COMMAND = [sys.executable, "-c", "import sys; from calico_rkt.compiler.cli import compile_profile as c; sys.exit(c())"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("ETCD_AUTHORITY", "ETCD_ENDPOINTS", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "net.conf").write_text(CONF)
    (tmp_path / "profiles").mkdir()
    return tmp_path


def run(*args, **kwargs):
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, check=False, **kwargs)


@pytest.mark.usefixtures("folder")
def test_the_profile_goes_to_stdout_and_nothing_else():
    done = run("net.conf")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("apiVersion: projectcalico.org/v3\n")


def test_warnings_go_to_stderr_and_leave_the_profile_and_the_status_as_they_are(folder):
    (folder / "profiles" / "other.yaml").write_text("network: web\n")
    done = run("net.conf")
    assert done.returncode == 0
    assert "CR703 warning" in done.stderr
    assert "CR703" not in done.stdout


def test_a_printed_profile_compiles_to_itself_its_log_limit_included(folder):
    (folder / "profiles" / "site.yaml").write_text("settings: {log_limit: {rate: 100, burst: 500}}\n")
    override = folder / "profiles" / "web.yaml"
    override.write_text("network: web\ningress: [{action: Log}]\nendpoint_to_host: accept\n")
    printed = run("net.conf").stdout
    assert 'calico-rkt.org/log-limit: "100/500"' in printed
    (folder / "profiles" / "site.yaml").unlink()
    override.write_text(printed)
    assert run("net.conf").stdout == printed
    for bad in ("0/5", "10", "10001/5"):
        override.write_text(printed.replace("100/500", bad))
        done = run("net.conf")
        assert (done.returncode, "CR225 error" in done.stderr) == (2, True)


@pytest.mark.usefixtures("folder")
def test_stdin_is_a_conf_too():
    done = run("-", "--profiles", "profiles", input=CONF)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("net.conf").stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "args",
    [
        ["missing.conf"],
        ["."],
        ["net.conf", "--profiles", "missing"],
        ["net.conf", "--profiles", "net.conf"],
        ["net.conf", "--target", "calico"],
        ["net.conf", "--exp"],
        ["net.conf", "-o", "missing/profile.yaml"],
        ["net.conf", "-o", "."],
        ["net.conf", "-o", "/dev/full"],
        ["a\nb.conf"],
        [],
    ],
)
def test_whatever_is_wrong_with_the_call_is_status_2_and_a_line_of_words(args):
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipe_in_the_confs_place_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.conf")
    assert run("pipe.conf").returncode == 2


@pytest.mark.usefixtures("folder")
def test_a_full_disk_behind_stdout_is_status_2_without_a_traceback():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "net.conf"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "compile-profile: the output can't be written: No space left on device\n"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("args", [["net.conf"], ["net.conf", "--explain"], ["--help"]])
def test_a_reader_that_has_gone_is_no_traceback(args):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, *args], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("fd", ["<&-", ">&-", "2>&-"])
def test_a_closed_standard_file_is_no_traceback(fd):
    words = " ".join(f"'{w}'" for w in [*COMMAND, "-"])
    done = subprocess.run(["sh", "-c", f"{words} {fd}"], input=CONF, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_o_writes_the_file_whole_and_keeps_what_a_failing_compile_would_replace(folder):
    assert compile_profile(["net.conf", "-o", "profile.yaml"]) == 0
    written = (folder / "profile.yaml").read_text()
    assert written == run("net.conf").stdout
    (folder / "profiles" / "web.yaml").write_text("network: web\ningress: 7\n")
    assert compile_profile(["net.conf", "-o", "profile.yaml"]) == 2
    assert (folder / "profile.yaml").read_text() == written
    assert sorted(p.name for p in folder.iterdir()) == ["net.conf", "profile.yaml", "profiles"]


def test_o_keeps_a_symlink_a_link_and_a_files_mode(folder):
    (folder / "real.yaml").write_text("old")
    (folder / "real.yaml").chmod(0o640)
    (folder / "profile.yaml").symlink_to("real.yaml")
    assert compile_profile(["net.conf", "-o", "profile.yaml"]) == 0
    assert (folder / "profile.yaml").is_symlink()
    assert (folder / "real.yaml").read_text().startswith("apiVersion")
    assert stat.S_IMODE((folder / "real.yaml").stat().st_mode) == 0o640


def test_o_with_explain_writes_the_one_and_prints_the_other(folder):
    done = run("net.conf", "--explain", "-o", "profile.yaml")
    assert done.stdout.startswith("overrides: profiles\nnetwork web, id web\n")
    assert (folder / "profile.yaml").read_text().startswith("apiVersion")


def test_diagnostics_as_json_are_one_array_with_every_place(folder):
    (folder / "profiles" / "web.yaml").write_text("network: web\ningress:\n  - {action: Alow}\n")
    done = run("net.conf", "--format", "json")
    assert done.returncode == 2
    (problem,) = json.loads(done.stderr)["problems"]
    assert problem == {
        "code": "CR305",
        "severity": "error",
        "message": "no action 'Alow'",
        "hint": "did you mean Allow?",
        "path": "profiles/web.yaml",
        "line": 3,
        "column": 14,
        "end_column": 18,
    }


def test_a_trailing_comma_is_a_warning_in_the_preview(folder):
    (folder / "net.conf").write_text(CONF[:-1] + ",}")
    done = run("net.conf")
    assert done.returncode == 0
    assert "rkt" in done.stderr


def test_another_machines_folder_is_told_and_never_read(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "web.yaml").write_text("network: web\negress: []\n")
    (folder / "net.conf").write_text(json.dumps({**json.loads(CONF), "profiles_dir": str(folder / "elsewhere")}))
    done = run("net.conf")
    assert "egress: []" not in done.stdout
    assert "CR720 warning" in done.stderr
    chosen = run("net.conf", "--profiles", "elsewhere")
    assert "egress: []" in chosen.stdout
    assert chosen.stderr == ""


def test_settings_say_which_folder_stands_for_the_one_that_a_conf_names(folder):
    (folder / "team").mkdir()
    (folder / "team" / "web.yaml").write_text("network: web\negress: []\n")
    (folder / "net.conf").write_text(json.dumps({**json.loads(CONF), "profiles_dir": "/srv/team/"}))
    (folder / "profiles" / "site.yaml").write_text("settings: {profiles_dirs: {/srv/team: team}}\n")
    done = run("net.conf")
    assert "egress: []" in done.stdout
    assert done.stderr == ""
    (folder / "team" / "web.yaml").unlink()
    (folder / "team").rmdir()
    assert run("net.conf").returncode == 2


@pytest.mark.parametrize("make", [lambda p: p.write_text(""), lambda p: p.symlink_to("nowhere")])
def test_a_folder_that_can_not_be_read_is_never_taken_for_an_empty_one(folder, make):
    (folder / "profiles").rmdir()
    make(folder / "profiles")
    done = run("net.conf")
    assert done.returncode == 2
    assert "CR701" in done.stderr


def test_an_override_without_a_conf_beside_it_is_found(folder):
    (folder / "profiles" / "db.yaml").write_text("network: db\n")
    assert "CR706 warning" in run("net.conf").stderr


def test_a_conf_beside_it_with_errors_does_not_matter(folder):
    (folder / "db.conf").write_text("{")
    assert run("net.conf").stderr == ""


@pytest.mark.usefixtures("folder")
def test_the_version_is_the_packages():
    assert run("--version").stdout == f"compile-profile {__version__}\n"


def test_a_locale_without_utf_8_is_no_traceback(folder):
    (folder / "profiles" / "é.yaml").write_text("network: web\n")
    done = run("net.conf", env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_explain_says_of_a_merged_list_what_each_rule_says_and_what_is_left_out(folder):
    """Longer than Calico takes: five hundred nets, and three ports of one, twice."""
    line = "  - {{action: {}, protocol: TCP, source: {{nets: [{}]}}, destination: {{ports: [{}]}}}}\n"
    nets = [line.format("Allow", f"10.{n >> 7}.{2 * n & 255}.0/24", 80) for n in range(520)]
    ports = [line.format("Deny", "11.0.0.0/8", port) for port in (22, 23, 25)]
    (folder / "profiles" / "web.yaml").write_text("network: web\ningress:\n" + "".join((*nets, *ports, *nets)))
    said = run("net.conf", "--explain").stdout
    merged = said.partition("\ningress in calico-v3: ")[2].splitlines()
    assert merged[0] == "1,043 rules in 4, since Calico takes 1,024"
    assert [row.partition("  <- ")[0].strip().split("  ")[-1] for row in merged[1:5]] == [
        "Allow IPv4 TCP from 10.0.0.0/24, 10.0.2.0/24, 10.0.4.0/24 and 253 more to port 80",
        "Allow IPv4 TCP from 10.2.0.0/24, 10.2.2.0/24, 10.2.4.0/24 and 253 more to port 80",
        "Allow IPv4 TCP from 10.4.0.0/24, 10.4.2.0/24, 10.4.4.0/24 and 5 more to port 80",
        "Deny IPv4 TCP from 11.0.0.0/8 to port 22:23, 25",
    ]
    places = [row.partition("  <- ")[2] for row in merged[1:5]]
    assert places[2:] == [
        ", ".join(f"profiles/web.yaml:{n}" for n in range(515, 523)),
        "profiles/web.yaml:523, profiles/web.yaml:524, profiles/web.yaml:525",
    ]
    assert merged[6] == "left out of ingress, since it decides nothing, whatever labels an endpoint has:"
    assert [row.partition("  <- ")[2] for row in merged[7:9]] == [
        "profiles/web.yaml:526; covered by profiles/web.yaml:3",
        "profiles/web.yaml:527; covered by profiles/web.yaml:4",
    ]
    assert len(merged) == 7 + 520
    assert 'form: "2"' in run("net.conf").stdout


@pytest.mark.usefixtures("folder")
def test_explain_says_nothing_of_merging_where_nothing_is_merged():
    assert "calico-v3" not in run("net.conf", "--explain").stdout
