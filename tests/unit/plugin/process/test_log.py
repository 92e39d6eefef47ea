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
