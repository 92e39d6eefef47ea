"""Changes that apply makes in; how many open flows they concern, said and ended, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.changes import ProfileChange
from calico_rkt.plugin.publish.open_flows import Judged, end_denied_flows, judge
from calico_rkt.plugin.store.local import LocalStore


def concerned(store: LocalStore, changes: Sequence[ProfileChange], networks: Collection[str] = ()) -> Judged:
    """The open flows of the changed networks' endpoints (and of these networks'), decided as they would be then."""
    new = {c.new.network_id: verify_calico_v3(c.new.text) for c in changes}
    return judge(store.endpoints(), lambda i: _network(store, new, i), {*new, *map(object_id, networks)})


def flows_in_words(found: Judged, *, ending: bool) -> str:
    """What becomes of them; empty where there are none."""
    if not found.flows:
        return ""
    all_of_them = f"{len(found.flows)} open flows" if len(found.flows) > 1 else "1 open flow"
    if not found.denied:
        return f"{all_of_them} of these networks' endpoints: the policy allows all"
    if ending:
        return f"{all_of_them} of these networks' endpoints: the {len(found.denied)} that the policy denies are ended"
    return (
        f"{all_of_them} of these networks' endpoints go on, also the {len(found.denied)} that the policy denies: "
        "--end-flows ends those"
    )


def end_denied(store: LocalStore, networks: Collection[str]) -> int:
    """End the open flows of these networks' endpoints that the policy in force denies; how many."""
    found = concerned(store, (), networks)
    end_denied_flows(found, store.endpoints())
    return len(found.denied)


def _network(store: LocalStore, new: Mapping[str, Network], network_id: str) -> Network | None:
    if network_id in new:
        return new[network_id]
    try:
        published = store.published(network_id)
    except CniError:
        return None  # edited by hand: used for nothing
    return verify_calico_v3(published.text) if published else None
