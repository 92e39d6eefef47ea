"""How the commands end when what they write to, or whoever waits for them, goes away: real processes and files."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys

import pytest

CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'
)
PROGRAM = f"{sys.executable} -m calico_rkt"
COMPILE = [sys.executable, "-c", "import sys; from calico_rkt.compiler.cli import compile_profile as c; sys.exit(c())"]


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("ETCD_AUTHORITY", "ETCD_ENDPOINTS", "NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "net.d" / "profiles").mkdir(parents=True)
    (tmp_path / "net.d" / "web.conf").write_text(CONF)
    (tmp_path / "net.d" / "profiles" / "web.yaml").write_text("network: web\ningress:\n  - {action: Allow}\n")
    return tmp_path


def shell(line):
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("command", ["check -C net.d", "check -C none", "schema"])
@pytest.mark.parametrize(
    ("redirected", "status"),
    [
        (">&-", 2),
        (">/dev/full", 2),
        ("2>&-", None),
        ("2>/dev/full", None),
        (">&- 2>&- <&-", 2),
        (">/dev/full 2>/dev/full", 2),
    ],
)
def test_what_can_not_be_written_is_status_2_and_never_findings(command, redirected, status):
    well = shell(f"{PROGRAM} {command}")
    done = shell(f"{PROGRAM} {command} {redirected}")
    if command == "check -C none" and redirected == ">/dev/full":  # all that it says is on stderr
        assert (done.returncode, done.stderr) == (well.returncode, well.stderr)
    elif status is None:
        assert (done.returncode, done.stdout) == (well.returncode, well.stdout)
    else:
        assert done.returncode == status
        assert done.stdout == ""


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("command", ["check -C net.d", "check --help", "compile net.d/web.conf"])
@pytest.mark.parametrize("stream", ["|", "2>&1 |"])
def test_a_reader_that_goes_away_leaves_no_words(command, stream):
    # The reader is gone before anything is written, so there is no race: it ends while the command still starts.
    done = shell(f"{{ sleep 0.3; exec {PROGRAM} {command}; }} {stream} true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("style", ["json", "sarif", "markdown", "github"])
@pytest.mark.parametrize("command", ["check -C none", "diff none other", "matrix -C none"])
def test_what_can_not_be_read_is_told_in_the_format_that_was_asked_for(command, style):
    done = shell(f"{PROGRAM} {command} --format {style}")
    assert done.returncode == 2
    if "invalid choice" in done.stderr:
        assert command == "matrix -C none"
        return
    assert done.stderr == ""
    assert "CR7" in done.stdout
    if style in ("json", "sarif"):
        json.loads(done.stdout)


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("style", ["text", "csv", "svg"])
def test_elsewhere_it_is_told_on_stderr(style):
    done = shell(f"{PROGRAM} matrix -C none --format {style}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "none: CR701 error: the folder can't be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("there/out", "there/out: there is no such folder"),
        ("net.d", "net.d: Is a directory"),
        ("new/", "new/: Is a directory"),
        ("net.d/web.conf/out", "net.d/web.conf/out: there is no such folder"),
        ("/dev/full", "/dev/full: No space left on device"),
        ("a" * 300, "File name too long"),
    ],
)
def test_an_output_that_can_not_be_is_named_as_it_was_given(net, output, words):
    before = sorted(net.rglob("*"))
    done = shell(f"{PROGRAM} matrix -C net.d -o {output}")
    assert done.returncode == 2
    assert done.stderr.startswith("calico-rkt matrix: ")
    assert words in done.stderr
    assert f".{os.path.basename(output)}." not in done.stderr  # noqa: PTH119 - the text, no path
    assert sorted(net.rglob("*")) == before


def test_a_bug_is_not_findings(net):
    code = "from calico_rkt.compiler.cli.process import guarded; import sys; sys.exit(guarded('x', lambda: 1 // 0))"
    done = subprocess.run([sys.executable, "-c", code], cwd=net, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr


def test_who_ignores_its_children_has_the_same_answers(tmp_path):
    """It makes us ignore ours: how git and other processes of ours ended would be lost."""
    for n in range(40):
        conf = f'{{"name": "n{n}", "type": "calico", "ipam": {{"type": "host-local", "subnet": "10.{n}.0.0/24"}}}}'
        (tmp_path / f"n{n}.conf").write_text(conf)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'calico_rkt', *sys.argv[1:]])"
    )
    for words, status, told in ((("matrix",), 0, ""), (("diff", "nosuch"), 2, "CR714 error: there is no revision")):
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (status, True, False), done.stderr


def test_a_working_folder_that_is_gone_is_told_as_that(tmp_path):
    there = tmp_path / "gone"
    there.mkdir()
    command = f"cd {there}; rmdir {there}; exec {sys.executable} -m calico_rkt diff main"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(".: CR701 error: the folder can't be read: No such file or directory\n")


def test_ctrl_c_is_130_quietly_with_nothing_left_behind(net):
    before = sorted(net.rglob("*"))
    command = [*COMPILE, "-", "--profiles", "net.d/profiles", "-o", "out.yaml"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, bufsize=0) as process:
        # More than a pipe holds: once all of it is gone the command reads, and waits for the rest.
        left = memoryview(b" " * 200_000)
        while left:
            left = left[process.stdin.write(left) :]
        # One signal may come while the reader is between two reads, where nobody looks for it: people press again.
        for _ in range(100):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
                break
        assert process.returncode == 130
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert sorted(net.rglob("*")) == before


PROGRESS = """
import sys, time
from calico_rkt.compiler.cli.process import guarded, write_stdout
from calico_rkt.compiler.cli.progress import progress

def work():
    with progress() as tell:
        for n in range(steps):
            tell(n, steps, "web\\x1b[31m" + "x" * 300)
            time.sleep(0.1)
    write_stdout("done\\n")
    return 0

steps = int(sys.argv[1])
sys.exit(guarded("x", work))
"""


def on_a_terminal(*args, until=None, signalled=None, env=None):
    """What a program writes to a terminal of 50 columns as stderr, its stdout and its status."""
    import fcntl
    import struct
    import termios

    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *args],
        stdout=subprocess.PIPE,
        stderr=there,
        env={**os.environ, "TERM": "xterm", **(env or {})},
    )
    os.close(there)
    shown = b""
    try:
        while chunk := os.read(here, 4096):
            shown += chunk
            if signalled and until in shown:
                process.send_signal(signalled)
                signalled = None
    except OSError:  # EIO: the other end is closed
        pass
    out, _ = process.communicate()
    os.close(here)
    return shown.decode(), out.decode(), process.returncode


def test_progress_is_one_line_of_the_terminal_s_width_that_goes_away():
    shown, out, status = on_a_terminal("-c", PROGRESS, "16")
    assert (out, status) == ("done\n", 0)
    assert "15 of 16: web?[31mxxx" in shown
    assert shown.endswith("\r\x1b[K")
    lines = shown.replace("\x1b[K", "").split("\r")
    assert max(map(len, lines)) < 50
    assert "\n" not in shown


def test_progress_goes_away_with_ctrl_c_too():
    shown, out, status = on_a_terminal("-c", PROGRESS, "600", until=b"600: web", signalled=signal.SIGINT)
    assert (out, status) == ("", 130)
    assert shown.endswith("\r\x1b[K")


def test_no_progress_of_quick_work_nor_on_what_can_not_redraw():
    assert on_a_terminal("-c", PROGRESS, "1") == ("", "done\n", 0)
    assert on_a_terminal("-c", PROGRESS, "16", env={"TERM": "dumb"}) == ("", "done\n", 0)
    done = subprocess.run([sys.executable, "-c", PROGRESS, "16"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": ""}, True),
    ],
)
def test_colour_is_for_terminals_that_want_it(net, env, coloured):
    env = {"NO_COLOR": "", **env}
    shown, _, status = on_a_terminal("-m", "calico_rkt", "check", "-C", str(net / "none"), env=env)
    assert status == 2
    assert ("\x1b[1;31merror\x1b[0m" in shown) is coloured
    assert ("\x1b" in shown) is coloured


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    ("env", "coloured"), [("", False), ("FORCE_COLOR=1", True), ("FORCE_COLOR=1 NO_COLOR=1", False)]
)
@pytest.mark.parametrize("style", ["text", "json", "sarif"])
def test_a_pipe_has_colour_where_it_is_forced_and_the_answer_is_for_people(env, coloured, style):
    done = shell(f"{env} {PROGRAM} check -C none --format {style}")
    assert ("\x1b" in done.stdout + done.stderr) is (coloured and style == "text")


@pytest.mark.usefixtures("net")
def test_a_file_has_no_colour_though_it_is_forced():
    assert (
        shell(f"FORCE_COLOR=1 {PROGRAM} matrix -C net.d -o who.txt; cat who.txt; rm who.txt").stdout.count("\x1b") == 0
    )


def test_what_was_done_is_told_on_stderr_where_stdout_is_full():
    code = (
        "from calico_rkt.compiler.cli.process import *; import sys; sys.exit(guarded('x', lambda: say_done('done: a')))"
    )
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - it is no path
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["done: a", "x: the output can't be written: No space left on device"]
