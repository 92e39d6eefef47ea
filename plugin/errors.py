"""What a runtime or a person is told went wrong: the one error of the plugin, and its codes."""

from __future__ import annotations

from collections.abc import Mapping

from calico_rkt.compiler.typed import Any


class CniError(Exception):
    """The one error of the plugin: code as in the CNI specification (100 and up are ours), msg, details."""

    def __init__(self, code: int, msg: str, details: str = "") -> None:
        self.code, self.msg, self.details = code, msg, details
        super().__init__(msg)

    def to_json(self, cni_version: str) -> Mapping[str, Any]:
        """The error object of the specification; details is left out when empty."""
        out: dict[str, Any] = {"cniVersion": cni_version, "code": self.code, "msg": self.msg}
        if self.details:
            out["details"] = self.details
        return out


class Code:
    """CNI's error codes, and from 100 on ours."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO = 5
    DECODE = 6
    INVALID_CONF = 7
    TRY_AGAIN = 11
    NOT_AVAILABLE = 50
    INTERNAL = 100
    POOL_EXHAUSTED = 101
    ADDRESS_TAKEN = 102
    ADDRESS_OUTSIDE = 103
    LINK = 104
    POLICY = 105
    PROFILE_UNUSABLE = 106
    ATTACHMENT_EXISTS = 107
    DELEGATE = 108
    CHECK_FAILED = 109
    DATASTORE = 110
    PORT_TAKEN = 111
