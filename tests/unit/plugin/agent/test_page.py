"""Claims about the metrics' page: nobody who asks keeps another from it, and nothing ends it for good."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import socket
import time
from contextlib import closing

import pytest

from calico_rkt.plugin.agent import page
from calico_rkt.plugin.agent.gauges import Gauges
from calico_rkt.plugin.process.log import LOG

LONG = "x" * 4_000_000


@pytest.fixture
def where(tmp_path):
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "m"))
        listener.listen(128)
        page.offer(listener, lambda brief: "brief\n" if brief else LONG)
        yield str(tmp_path / "m")
        listener.shutdown(socket.SHUT_RDWR)


def connected(where):
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(10)
    made.connect(where)
    return made


def asked(made, path="/metrics?brief"):
    with closing(made):
        made.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        data = b""
        while more := made.recv(1 << 20):
            data += more
    return data


def test_who_reads_slowly_or_says_nothing_holds_up_nobody(where):
    silent = [connected(where) for _ in range(4)]
    slow = [connected(where) for _ in range(4)]
    for one in slow:
        one.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    began = time.monotonic()
    assert asked(connected(where)).endswith(b"brief\n")
    assert time.monotonic() - began < page._PATIENCE
    for one in (*silent, *slow):
        one.close()


def test_places_are_free_again_after_a_while(where, monkeypatch):
    monkeypatch.setattr(page, "_PATIENCE", 0.2)
    silent = [connected(where) for _ in range(page._AT_ONCE * 2)]
    until = time.monotonic() + 10
    while True:
        try:
            if asked(connected(where)).endswith(b"brief\n"):
                break
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() < until
        time.sleep(0.05)
    for one in silent:
        one.close()


def test_a_reader_that_comes_while_no_descriptor_is_left_is_answered_later(where, caplog, monkeypatch):
    monkeypatch.setattr(LOG, "propagate", True)
    assert asked(connected(where)).endswith(b"brief\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # a socket that a test before let go of would give its number back meanwhile
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(10)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are what is wanted
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, hard))
        with contextlib.suppress(OSError):  # what the answer before has given back meanwhile
            while True:
                spare.append(os.open("/dev/null", os.O_RDONLY))
        made.connect(where)
        until = time.monotonic() + 10
        while "can not be asked for" not in caplog.text and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in spare:
            os.close(fd)
    assert caplog.text.count("can not be asked for") == 1
    assert asked(made).endswith(b"brief\n")
    assert asked(connected(where), "/metrics").endswith(LONG.encode())


def test_what_can_not_be_counted_takes_no_sample_from_the_rest(tmp_path, monkeypatch):
    monkeypatch.setenv("CALICO_RKT_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("CALICO_RKT_LIB_DIR", str(tmp_path / "lib"))
    tmp_path.chmod(0o700)
    (tmp_path / "state.sqlite").write_bytes(b"damaged" * 1000)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "journal").write_bytes(b"no folder")
    found = {name: list(samples) for name, _, samples in Gauges("/no/such/file").now(brief=True)}
    assert found["endpoints"] == []
    assert found["resident_bytes"][0][1] > 0
    assert found["journal_length"] == [((), 0.0)]
