"""SHA-256 without hashlib, which loads all of libcrypto for it: 2 ms of each CNI call. The same digests."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:  # one without its own
            from hashlib import sha256

__all__ = ["sha256"]
