"""An exception that nobody foresaw in; its traceback in the log, and a CniError that says its name only, out."""

from __future__ import annotations

import traceback

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG, open_log


def as_cni_error(error: Exception) -> CniError:
    """Code 100: whatever it is, the runtime gets CNI JSON and no traceback."""
    if not LOG.handlers:
        open_log("info")
    LOG.info("%s", "".join(traceback.format_exception(error)))
    return CniError(Code.INTERNAL, f"internal error: {type(error).__name__}", str(error)[:200])
