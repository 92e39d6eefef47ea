"""Claims about the log of a process that lives long: what becomes of its file is no call's fault."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, shutil, sys
from pathlib import Path
from calico_rkt.plugin.process.log import LOG, said_to_caller, share_log
share_log()
log = Path(os.environ["CALICO_RKT_LOG"])
with said_to_caller() as said:
    LOG.info("one")
    exec(sys.argv[1])
    LOG.info("two")
    LOG.warning("three")
    print(said(), end="")
print(log.read_text() if log.is_file() else "none", end="")
"""
AWAY = {
    "moved, as logrotate does": 'log.rename(log.with_suffix(".1"))',
    "its folder removed": "shutil.rmtree(log.parent)",
    "its folder a file": 'shutil.rmtree(log.parent); log.parent.write_text("")',
}


def said(folder, what):
    env = {"CALICO_RKT_LOG": str(folder / "log" / "calico.log")}
    done = subprocess.run(
        [sys.executable, "-c", CODE, AWAY[what]], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_a_log_that_was_moved_or_removed_is_begun_anew(tmp_path):
    for what in ("moved, as logrotate does", "its folder removed"):
        caller, *file = said(tmp_path, what).splitlines()
        assert caller == "calico: WARNING: three"
        assert [line.rpartition(" ")[2] for line in file] == ["two", "three"]


def test_where_no_log_can_be_the_caller_is_told_all_the_same(tmp_path):
    assert said(tmp_path, "its folder a file") == "calico: WARNING: three\nnone"


ANSWERED = """
import os
from pathlib import Path
from calico_rkt.plugin.process.log import LOG, answered, said_to_caller, share_log
share_log()
log = Path(os.environ["CALICO_RKT_LOG"])
with said_to_caller():
    LOG.info("before")
    answered()
    LOG.info("behind %s", "it")
    LOG.info("%d of what is none", "text")
    try:
        raise ValueError("odd")
    except ValueError:
        LOG.exception("and")
    print(log.read_text())
    log.unlink()
print("---")
print(log.read_text())
with said_to_caller():
    LOG.info("the next call")
    print(log.read_text())
"""


def test_what_an_answered_call_still_says_is_in_the_file_when_it_ends(tmp_path):
    env = {"CALICO_RKT_LOG": str(tmp_path / "calico.log")}
    done = subprocess.run([sys.executable, "-c", ANSWERED], env=env, capture_output=True, text=True, check=True)
    during, behind = done.stdout.split("---")
    assert [line.rpartition(" INFO ")[2] for line in during.split("\n") if line] == ["before"]
    first, second, *trace, error, following = [line for line in dict.fromkeys(behind.split("\n")) if line]
    assert first.endswith(" INFO behind it")
    assert second.endswith(" ERROR and")
    assert trace[0] == "Traceback (most recent call last):"
    assert error == "ValueError: odd"
    assert following.endswith(" INFO the next call")
