"""What people write: an override, the file that export writes. The doors are the compiler's and read_bundle."""

from __future__ import annotations

from hypothesis import strategies as st

from calico_rkt.compiler.bundle.read import read_bundle
from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.pipeline import compile_for_host
from tests.properties.inputs.damage import PROFILES, damaged, files
from tests.properties.inputs.door import Door

_WEB = NetConf("web", "calico", "1.0.0", Ipam("host-local"))
_POOL = b"""apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: web
spec:
  cidr: 10.1.0.0/24
  natOutgoing: true
  nodeSelector: all()
"""
_SINGLE = files("profile.yaml")
_LISTED = [
    b"apiVersion: projectcalico.org/v3\nkind: List\nitems:\n" + b"".join(_item(part) for part in (_POOL, *_SINGLE[:2]))
    for _item in (lambda text: b"- " + text.replace(b"\n", b"\n  ").rstrip(b" "),)
]
_BUNDLES = [_POOL, b"---\n".join((_POOL, *_SINGLE[:3])), *_SINGLE[:6], *_LISTED]


def shown(error: CompileError) -> None:
    """It has an error, and can be printed."""
    text = render_diagnostics(error.diagnostics)
    assert any(d.is_error for d in error.diagnostics)
    assert all(line.isprintable() for line in text.split("\n")), text


def _compile(data: bytes) -> None:
    try:
        compile_for_host(_WEB, {"profiles/web.yaml": data})
    except CompileError as e:
        shown(e)


def _import(data: bytes) -> None:
    try:
        read_bundle("policy.yaml", data)
    except CompileError as e:
        shown(e)


_bytes = st.binary(max_size=40)
OVERRIDE = Door(
    "an override", "YAML that decides on a network, compiled", damaged(PROFILES) | _bytes, _compile, share=120
)
BUNDLE = Door(
    "a policy bundle", "YAML of Calico's resources, as import takes it", damaged(_BUNDLES) | _bytes, _import, share=150
)
