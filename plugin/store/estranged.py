"""A host's records of attachments in a cluster in; those that its Felix knows nothing of, in words, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from calico_rkt.plugin.model import Endpoint

_SHOWN = 3


def of_older_names(node: str, recorded: Iterable[Endpoint]) -> Iterator[str]:
    """Those that were made when Calico called this host something else than node."""
    for name, count in sorted(Counter(e.node for e in recorded if e.node not in ("", node)).items()):
        yield (
            f"Felix does not police attachments of this host ({count}): they are of node {name!r}, and it is {node!r} "
            "now; start these containers anew, or give the host its name back"
        )


def lost(
    node: str, before: Sequence[Endpoint], theirs: Iterable[Endpoint | None], after: Iterable[Endpoint]
) -> Iterator[str]:
    """Those whose endpoints somebody took out of the cluster, as calicoctl does when it deletes a node.

    theirs: what the cluster has of this node, read after the records of before and before those of after: what an ADD
    or a DEL has only begun is in one of them alone.
    """
    there = {e.key for e in theirs if e is not None}
    still = {(e.key, e.nonce) for e in after}
    names = [str(e.key) for e in before if e.node == node and e.key not in there and (e.key, e.nonce) in still]
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield (
            f"Calico has no endpoint of {', '.join(names[:_SHOWN])}{more}: Felix lets nothing through there, and the "
            "addresses may be others' by now; end these containers and start them anew"
        )
