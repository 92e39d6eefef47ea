"""A CNI call's parts in, what the plugin answered out: libcni's side of the protocol, verb by verb."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.clients.support.lab import PLUGINS, Lab

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a plugin's process left: exit status and its two streams."""

    status: int
    stdout: bytes
    stderr: bytes

    def __str__(self) -> str:
        out, err = (stream.decode(errors="replace") for stream in (self.stdout, self.stderr))
        return f"exit {self.status}\nstdout: {out}\nstderr: {err}"

    @property
    def json(self) -> dict[str, Any]:
        """stdout as the one JSON object that it has to be."""
        loaded = json.loads(self.stdout)
        assert isinstance(loaded, dict), self
        return loaded

    def succeeded(self) -> Reply:
        assert self.status == 0, self
        return self

    def refused(self, *codes: int) -> dict[str, Any]:
        """The error object, after a check that this is an error as the CNI specification has it.

        codes: those that are right here; none given: any.
        """
        assert self.status != 0, self
        for stream in (self.stdout, self.stderr):
            assert b"Traceback" not in stream, self
        error = self.json
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, self
        assert {"cniVersion", "code", "msg"} <= set(error), self
        assert isinstance(error["cniVersion"], str), self
        assert isinstance(error["code"], int), self
        assert error["code"] > 0, self
        assert isinstance(error["msg"], str), self
        assert error["msg"], self
        if codes:
            assert error["code"] in codes, self
        return error


class Caller:
    """libcni in small: calls one plugin in a lab. environment holds what a case changes or (None) takes out."""

    def __init__(self, lab: Lab, plugin: str = f"{PLUGINS}/calico") -> None:
        self.lab = lab
        self.plugin = plugin

    def __call__(
        self,
        command: str,
        conf: Mapping[str, Any] | bytes,
        container: str = "c1",
        netns: str = "",
        ifname: str = "eth0",
        **environment: str | None,
    ) -> Reply:
        env: dict[str, str | None] = {
            "CNI_COMMAND": command,
            "CNI_PATH": PLUGINS,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        if command in ("ADD", "DEL", "CHECK"):
            env |= {"CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": ifname}
        env |= environment
        done = self.lab.run(
            self.plugin,
            stdin=conf if isinstance(conf, bytes) else json.dumps(conf).encode(),
            env={k: v for k, v in env.items() if v is not None},
        )
        return Reply(done.returncode, done.stdout, done.stderr)

    def add(
        self,
        conf: Mapping[str, Any] | bytes,
        container: str = "c1",
        netns: str = "",
        ifname: str = "eth0",
        **environment: str,
    ) -> dict[str, Any]:
        """An ADD that has to succeed; its result."""
        return self("ADD", conf, container, netns, ifname, **environment).succeeded().json

    def delete(
        self,
        conf: Mapping[str, Any] | bytes,
        container: str = "c1",
        netns: str = "",
        ifname: str = "eth0",
        **environment: str,
    ) -> None:
        """A DEL that has to succeed, and to print nothing."""
        reply = self("DEL", conf, container, netns, ifname, **environment).succeeded()
        assert reply.stdout == b"", reply


def addresses(result: Mapping[str, Any]) -> list[str]:
    """The plain addresses of a result of any version."""
    if "ips" in result:
        found = [ip["address"] for ip in result["ips"]]
    else:
        found = [result[key]["ip"] for key in ("ip4", "ip6") if key in result]
    return [address.partition("/")[0] for address in found]
