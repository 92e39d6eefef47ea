"""A network and the ids of a workspace in, all that the review finds of its rules alone out."""

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.review.lint import directions


def lint(network, network_ids, files):
    """Findings about each direction's rules that stand in one of these files; one for a direction not analysed."""
    for direction in directions(network, network_ids):
        if isinstance(direction, Diagnostic):
            yield direction
        else:
            yield from direction.findings(files)
            yield from direction.unfinished()
