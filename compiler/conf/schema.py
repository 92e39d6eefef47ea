"""The parser's own tables in, a JSON Schema of network confs out: for editors, and for the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calico_rkt.compiler.conf.ipam import IPAM_KEYS, RANGE_KEYS, ROUTE_KEYS
from calico_rkt.compiler.conf.netconf import PROFILES_DIR, SUPPORTED_VERSIONS, Dns
from calico_rkt.compiler.conf.parse import DATASTORES, LOG_LEVELS, OUR_KEYS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_FLAG: Schema = {"type": "boolean"}
_PATH: Schema = {"type": "string", "pattern": "^/"}

_WORDS = {
    "name": "the network's name, which overrides and rules call it by",
    "type": "calico: this plugin",
    "cniVersion": "of the CNI specification; write 1.0.0, which every runtime reads",
    "ipam": "where addresses come from",
    "ipMasq": "packets to addresses of no network here leave with the host's own address",
    "mtu": "of the container's interface; 0 is that of the interface of the host's default route, else 1500",
    "datastore_type": "where endpoints and profiles are kept; local, or where an etcd is named etcdv3",
    "nodename": "this host's name in Calico; the one that calico/node wrote, else the host name",
    "require_felix": "an ADD to a cluster's network fails where no Felix enforces",
    "log_level": "of /var/log/calico-rkt/calico-rkt.log",
    "profiles_dir": "the folder of overrides; one that is named has to be there",
    "dns": "handed to the runtime, as it is",
    "etcd_authority": "host:port of etcd, as Calico of 2015 says it",
    "etcd_endpoints": "URLs of etcd's members, with commas between or as a list",
    "etcd_username": "for an etcd that asks who it is",
    "etcd_password_file": "a file with the password",
    "etcd_ca_cert_file": "whose certificates etcd's members have",
    "etcd_cert_file": "our certificate, with etcd_key_file",
    "etcd_key_file": "its key",
}
_IPAM_WORDS = {
    "type": "host-local: this plugin gives addresses out of its datastore; any other name is a plugin that is asked",
    "subnet": "the addresses of one range; beside ranges it is a set of its own, the first",
    "ranges": "a list of sets; an endpoint gets one address of each set",
    "rangeStart": "the first address that is given out",
    "rangeEnd": "the last one",
    "gateway": "never given out; all routes go through the host",
    "routes": "beside the default route, which is there in any case; what containers reach is for overrides to say",
    "exclude": "addresses in the ranges that are never given out",
    "guard": "packets to addresses of the ranges that no endpoint has go nowhere",
}
_DNS_WORDS = {
    "nameservers": "addresses of servers",
    "domain": "the container's own domain",
    "search": "domains that short names are looked for in",
    "options": "options of the resolver",
}
_ROUTE_WORDS = {"dst": "a CIDR", "gw": "accepted; all goes through the host"}


def conf_schema() -> Schema:
    """Draft 2020-12, of a .conf or a .conflist. It takes whatever the compiler takes, which refuses more."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "calico-rkt: a network conf",
        "anyOf": [{"$ref": "#/$defs/list"}, {"allOf": [{"$ref": "#/$defs/conf"}, {"required": ["name"]}]}],
        "$defs": {
            "conf": {**_object(OUR_KEYS, _conf_values(), _WORDS), "required": ["type", "ipam"]},
            "list": {
                "type": "object",
                "properties": {"plugins": {"type": "array", "items": {"type": "object"}}},
                "required": ["name", "plugins"],
            },
            "ipam": {
                "type": "object",
                "required": ["type"],
                "if": {"properties": {"type": {"const": "host-local"}}},
                "then": {"$ref": "#/$defs/host-local"},
            },
            "host-local": _object(IPAM_KEYS, _ipam_values(), _IPAM_WORDS),
            "range": _object(RANGE_KEYS, {}, _IPAM_WORDS),
            "route": {**_object(ROUTE_KEYS, {}, _ROUTE_WORDS), "required": ["dst"]},
            "dns": _object(Dns.__slots__, {"domain": _TEXT}, _DNS_WORDS, usual=_TEXTS),
        },
    }


def _object(
    keys: Iterable[str], values: Mapping[str, Schema], words: Mapping[str, str], usual: Schema = _TEXT
) -> Schema:
    """An object with these keys; others are warned of, and accepted. A null counts as nothing."""
    properties = {k: {"anyOf": [values.get(k, usual), {"type": "null"}], "description": words[k]} for k in keys}
    return {"type": "object", "properties": properties}


def _conf_values() -> Mapping[str, Schema]:
    return {
        "cniVersion": {"enum": list(SUPPORTED_VERSIONS), "default": SUPPORTED_VERSIONS[0]},
        "ipam": {"$ref": "#/$defs/ipam"},
        "dns": {"$ref": "#/$defs/dns"},
        "ipMasq": {**_FLAG, "default": False},
        "require_felix": {**_FLAG, "default": True},
        "mtu": {"type": "integer", "default": 0},
        "datastore_type": {"enum": list(DATASTORES)},
        "log_level": {"type": "string", "examples": list(LOG_LEVELS), "default": "info"},
        "profiles_dir": {**_PATH, "default": PROFILES_DIR},
        "etcd_endpoints": {"anyOf": [_TEXT, _TEXTS]},
        **{k: _PATH for k in OUR_KEYS if k.startswith("etcd_") and k.endswith("_file")},
    }


def _ipam_values() -> Mapping[str, Schema]:
    ranges = {"type": "array", "items": {"type": "array", "items": {"$ref": "#/$defs/range"}}}
    return {
        "ranges": ranges,
        "routes": {"type": "array", "items": {"$ref": "#/$defs/route"}},
        "exclude": _TEXTS,
        "guard": {**_FLAG, "default": True},
    }
