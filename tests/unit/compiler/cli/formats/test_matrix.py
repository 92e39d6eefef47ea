"""Each kind of a cell has a mark of its own, in every format."""

from ipaddress import ip_network

import pytest

from calico_rkt.compiler.cli.formats.matrix import render_matrix
from calico_rkt.compiler.ir.model import Action, Rule, ToHost
from calico_rkt.compiler.review.html_report import Review, page
from calico_rkt.compiler.review.matrix import cell_kind, matrix_of
from tests.worlds import conf, world

ALLOW = (Rule(Action.ALLOW),)


@pytest.mark.parametrize(("to_host", "kind"), [(ToHost.RETURN, "host"), (ToHost.ACCEPT, "all"), (ToHost.DROP, "none")])
@pytest.mark.parametrize("nets", [["10.1.0.0/24"], ["10.1.0.0/24", "fd00::/64"]], ids=["IPv4", "both"])
def test_what_the_host_has_the_last_word_on_is_a_kind_of_its_own(nets, to_host, kind):
    """Of IPv6 some types of ICMPv6 pass whatever is said; the rest is the host's to decide all the same."""
    here = world([conf("web", *map(ip_network, nets))], {"web": (ALLOW, ALLOW, to_host)})
    if len(nets) > 1 and to_host is ToHost.DROP:
        kind = "some"
    m = matrix_of(here)
    cell = m.cells["web", "host"]
    assert cell_kind(cell) == kind
    text = render_matrix("text", m, colour=False)
    assert text.splitlines()[3].split()[-1] == {"host": "~", "all": "#", "none": ".", "some": "+"}[kind]
    assert ("~ left to the host" in text) == (kind == "host")
    svg, html = render_matrix("svg", m, colour=False), page(Review("here", m, (), ()))
    assert ('class="host"/>' in svg, 'class="key host"' in html) == (kind == "host",) * 2
    assert f'"reach": "{kind}"' in render_matrix("json", m, colour=False)
