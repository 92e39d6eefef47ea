"""Published profiles in, Calico's Profile resources out, and back. Imports YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.compiler.targets.yaml_values import load_yaml
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.store.etcd3.ops import Kv
from calico_rkt.plugin.store.etcd3.resources import encode_resource, envelope, notes_of, resource, section

_OURS = "calico-rkt.org/"


def create(profile: Published, now: datetime) -> bytes:
    """The resource of a profile that the cluster does not have yet."""
    document = _document(profile)
    made = envelope("Profile", profile.network_id, now, annotations=document["metadata"]["annotations"])
    return encode_resource({**made, "spec": document["spec"]})


def update(profile: Published, kv: Kv) -> bytes:
    """The resource with another policy; what others wrote beside it (labels, their annotations) stays."""
    old, document = resource(kv.value), _document(profile)
    kept = {key: text for key, text in notes_of(old).items() if not key.startswith(_OURS)}
    metadata = {
        "name": profile.network_id,
        **section(old, "metadata"),
        "annotations": {**kept, **document["metadata"]["annotations"]},
    }
    return encode_resource({**old, "metadata": metadata, "spec": document["spec"]})


def read(network_id: str, kv: Kv) -> Published:
    """The profile; CniError 106 where it is not one of ours, or was edited."""
    text = json.dumps(_ours_only(resource(kv.value)))
    try:
        network = verify_calico_v3(text)
    except CompileError as e:
        words = e.diagnostics[0].message
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the profile {network_id} in Calico's datastore: {words}",
            render_diagnostics(e.diagnostics),
        ) from e
    return Published(network_id, network.name, write_calico_v3(network), digest(network), kv.revision)


def as_yaml(kv: Kv) -> str:
    """The resource as calicoctl prints it, edited or not."""
    import yaml

    shown = resource(kv.value)
    return str(yaml.safe_dump(shown, sort_keys=False, default_flow_style=False))


def _document(profile: Published) -> dict[str, Any]:
    loaded: Any = load_yaml(profile.text)
    assert isinstance(loaded, dict)
    return loaded


def _ours_only(of: Mapping[str, Any]) -> dict[str, Any]:
    """The resource as verify_calico_v3() reads it: without what others noted, or a server adds."""
    metadata = {k: v for k, v in section(of, "metadata").items() if k in ("name", "annotations")}
    notes = {k: v for k, v in section(metadata, "annotations").items() if k.startswith(_OURS)}
    return {**{k: v for k, v in of.items() if k != "status"}, "metadata": {**metadata, "annotations": notes}}
