"""A conf's keys about etcd in, how to reach a cluster and what it calls this host out."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.errors import CniError, Code

PATIENCE = 10.0
"""Seconds for all requests of one call together."""

NODENAME_FILE = "/var/lib/calico/nodename"
"""Where calico/node says what it calls this host; CALICO_NODENAME_FILE names another."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster: URLs of its members, files for TLS, and who we are. The password is in no repr."""

    endpoints: tuple[str, ...]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    user: str = ""
    password: str = ""
    problem: str = ""
    """Why there is no password, in words: a DEL frees what the kernel has before anybody asks for it."""

    def __repr__(self) -> str:
        return f"Access({', '.join(self.endpoints)})"


class UnreachableError(CniError):
    """No member answered in time; what was asked may have happened all the same."""


def access_of(conf: NetConf, environ: Mapping[str, str] = os.environ) -> Access:
    """Members, TLS files and user; the password comes from a file or ETCD_PASSWORD, never from the conf."""
    scheme = "https" if conf.etcd_ca_cert_file or conf.etcd_cert_file else "http"
    authority = (f"{scheme}://{conf.etcd_authority}",) if conf.etcd_authority else ()
    user = conf.etcd_username or environ.get("ETCD_USERNAME", "")
    password, problem = environ.get("ETCD_PASSWORD", ""), ""
    if conf.etcd_password_file:
        try:
            password = Path(conf.etcd_password_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as e:
            problem = f"etcd_password_file {conf.etcd_password_file} can't be read: {e}"
    return Access(
        endpoints=conf.etcd_endpoints or authority,
        ca_file=conf.etcd_ca_cert_file or environ.get("ETCD_CA_CERT_FILE", ""),
        cert_file=conf.etcd_cert_file or environ.get("ETCD_CERT_FILE", ""),
        key_file=conf.etcd_key_file or environ.get("ETCD_KEY_FILE", ""),
        user=user,
        password=password,
        problem=problem,
    )


def node_name(conf: NetConf, environ: Mapping[str, str] = os.environ) -> str:
    """What Calico calls this host: the conf, calico/node's file (without its line's end), the host's name."""
    if conf.nodename:
        return conf.nodename
    path = Path(environ.get("CALICO_NODENAME_FILE") or NODENAME_FILE)
    try:
        found = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        found = ""
    except (OSError, ValueError) as e:
        raise CniError(Code.IO, f"{path} can't be read: {e}") from e
    name = found or socket.gethostname().lower()
    if "/" in name or not name.isprintable():
        raise CniError(Code.IO, f"{name!r} is no name of a Calico node", f"look into {path}")
    return name
