import errno
import logging

import pytest

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.process.unexpected import as_cni_error


@pytest.fixture(autouse=True)
def _a_log_of_its_own():
    handler = logging.NullHandler()
    LOG.addHandler(handler)
    yield
    LOG.removeHandler(handler)


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EMFILE, errno.ENOMEM, errno.EAGAIN])
def test_what_the_system_had_none_of_may_be_tried_again(number):
    found = as_cni_error(OSError(number, "No such thing left"))
    assert (found.code, found.msg) == (Code.TRY_AGAIN, "the system refused a step of this: No such thing left")


def test_a_refusal_of_the_system_is_no_internal_error_and_names_the_file():
    found = as_cni_error(PermissionError(errno.EPERM, "Operation not permitted", "/proc/sys/net/x"))
    assert (found.code, found.msg) == (
        Code.IO,
        "the system refused a step of this: Operation not permitted: /proc/sys/net/x",
    )


def test_a_fault_of_ours_is_one():
    assert as_cni_error(IndexError("list index out of range")).code == Code.INTERNAL


def test_an_error_that_is_one_already_stays_as_it_is():
    known = CniError(Code.LINK, "the pair")
    assert as_cni_error(known) is known


def test_no_thread_is_nothing_of_ours():
    assert as_cni_error(RuntimeError("can't start new thread")).code == Code.TRY_AGAIN
