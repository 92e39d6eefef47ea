"""An exception that nobody foresaw in; its traceback in the log, and a CniError that says its name only, out."""

from __future__ import annotations

import errno
import os

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG, open_log

_PASSING = (errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What the system had none of just now."""


def as_cni_error(error: Exception) -> CniError:
    """What a step's error is to who called: CNI JSON and no traceback.

    A refusal of the system is told in its own words, with code 11 where it may pass; anything else is a fault of ours,
    code 100.
    """
    if isinstance(error, CniError):
        return error
    import traceback  # here, not above: it should never be needed

    if not LOG.handlers:
        open_log("info")
    LOG.info("%s", "".join(traceback.format_exception(error)))
    if isinstance(error, OSError) and error.errno:
        code = Code.TRY_AGAIN if error.errno in _PASSING else Code.IO
        where = f": {error.filename}" if error.filename else ""
        said = error.strerror or os.strerror(error.errno)
        return CniError(code, f"the system refused a step of this: {said}{where}", "which one: the log has it")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return CniError(Code.TRY_AGAIN, "the system gives no thread now")
    return CniError(Code.INTERNAL, f"internal error: {type(error).__name__}", str(error)[:200])
