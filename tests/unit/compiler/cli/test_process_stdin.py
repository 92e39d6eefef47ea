"""What is read of stdin: all of it, whoever made it non-blocking, and no more than was asked for."""

import os
import threading

import pytest

from calico_rkt.compiler.cli.process import read_whole


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize(("most", "read"), [(100, b"one two"), (7, b"one two"), (5, b"one t")])
def test_a_stream_is_read_to_its_end_however_late_its_parts_come(blocking, most, read):
    ours, theirs = os.pipe()
    os.set_blocking(ours, blocking)

    def write():
        for part in (b"one", b" two"):
            threading.Event().wait(0.05)
            os.write(theirs, part)
        os.close(theirs)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(ours, "rb") as stream:
        assert read_whole(stream, most) == read
        thread.join()
