"""Published profiles in, the tags and rules that etcd holds of them out, and back. Imports Jinja2 and YAML.

The digest stands in the rules' key `calico_rkt`, with the network's own name; where the one-address rules of the model
are more than ours, how many each of ours became; and the form of ours where that is not the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.compiler.ir.canonical import LINES, digest
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.pipeline import OLD_CALICO, write_proven
from calico_rkt.compiler.targets.calico_v1.rejoin import Parts, verify_calico_v1
from calico_rkt.compiler.targets.calico_v1.write import parts
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.store.etcd2.values import OURS, encode_value, json_object

_PARTS, _FORM = "parts", "form"


def network_of(profile: Published) -> Network:
    """The rules of a profile that is to be published."""
    return verify_calico_v3(profile.text)


def rules_value(network: Network) -> str:
    """What the key `rules` holds; CniError where the 2015 model has no words for it."""
    try:
        rules = json.loads(write_proven(network, OLD_CALICO))["rules"]
    except CompileError as e:
        message = f"Calico of 2015 can't enforce the profile of network {network.name!r}: {e.diagnostics[0].message}"
        raise CniError(Code.PROFILE_UNUSABLE, message, render_diagnostics(e.diagnostics)) from e
    lists = (parts(network.ingress), parts(network.egress))
    if any(number != 1 for parts in lists for number in parts):
        rules[OURS][_PARTS] = "|".join(",".join(map(str, parts)) for parts in lists)
    if network.form != LINES:
        rules[OURS][_FORM] = str(network.form)
    return encode_value(rules)


def read(network_id: str, tags: str, rules: str, revision: int) -> Published:
    """The profile; CniError 106 where it is not one of ours, or was edited."""
    found = json_object(rules)
    parts = _parts(found)
    try:
        network = verify_calico_v1(json.dumps({"tags": _loaded(tags), "rules": found}), parts)
        if network.id != network_id:
            raise CniError(
                Code.PROFILE_UNUSABLE, f"the profile {network_id} in Calico's datastore says that it is {network.id}"
            )
        text = write_calico_v3(replace(network, form=_form(found)))
        return Published(network_id, network.name, text, digest(network), revision)
    except CompileError as e:
        words = e.diagnostics[0].message
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the profile {network_id} in Calico's datastore: {words}",
            render_diagnostics(e.diagnostics),
        ) from e


def as_text(tags: str, rules: str) -> str:
    """What stands there, edited or not, for people to read."""
    return json.dumps({"tags": _loaded(tags), "rules": _loaded(rules)}, indent=2) + "\n"


def _form(rules: object) -> int:
    said = _note(rules, _FORM)
    return int(said) if isinstance(said, str) and re.fullmatch(r"[1-9][0-9]{0,4}", said) else LINES


def _note(rules: object, key: str) -> object:
    ours = rules.get(OURS) if isinstance(rules, dict) else None
    return ours.get(key) if isinstance(ours, dict) else None


def _parts(rules: object) -> Parts | None:
    said = _note(rules, _PARTS)
    if not isinstance(said, str) or said.count("|") != 1:
        return None
    ingress, egress = (_numbers(one) for one in said.split("|"))
    return ingress, egress


def _numbers(text: str) -> Sequence[int]:
    return tuple(int(n) if n.isdecimal() and len(n) < 9 else 0 for n in text.split(",") if n)


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
