"""Answers of a kernel that are cut short, or have another shape: each is an error that callers know."""

import struct
from errno import EBADMSG
from ipaddress import ip_address

import pytest

from calico_rkt.compiler.cli.process import guarded
from calico_rkt.plugin.enforce.nft import transactions
from calico_rkt.plugin.link import conntrack, neighbours, netlink, state
from calico_rkt.plugin.publish.open_flows import read_flow

HEAD = struct.pack("=BBHiII", 0, 0, 1, 7, 1, 0)
NAME = netlink.attribute(3, b"eth0\0")
FLOW = struct.pack("=BBH", 2, 0, 0)


class Kernel(netlink.Socket):
    """Answers with these bytes."""

    def __init__(self, data):
        self._sequence, self._socket, self._data = 1, self, data

    def recv(self, _):
        return self._data

    def send(self, _):
        pass


class Dumped(transactions.Socket):
    """A kernel that has one thing of any kind."""

    def __init__(self, body):
        self._body = body

    def get(self, _kind, _body):
        return self._body

    def dump(self, _kind, _body):
        return [self._body]

    def _rules(self, _table, _chain):
        return [self._body]


def test_an_attribute_that_goes_beyond_its_message_is_an_error():
    whole = NAME + netlink.number(4, 1500)
    assert set(netlink.attributes(whole)) == {3, 4}
    with pytest.raises(netlink.NetlinkError, match="an attribute of 8 bytes where 6 are left") as e:
        netlink.attributes(whole[:-2])
    assert e.value.errno == EBADMSG


def test_a_message_that_goes_beyond_its_datagram_is_an_error():
    message = netlink.message(16, 2, HEAD + NAME)
    with pytest.raises(netlink.NetlinkError, match="a message of"):
        list(Kernel(message[:-4])._receive())


def test_a_place_that_was_learnt_counts_for_answers_of_the_same_heads_alone():
    place = netlink.Place(5, 4)
    attribute, number = netlink.attribute, netlink.number
    usual = [b"head", NAME, number(4, 1500), number(5, 7), number(20, 1)]
    for n in range(3):
        assert place.of(b"".join([*usual[:3], number(5, n), usual[4]])) == struct.pack("=I", n)
    others = (
        [b"head", number(4, 1500), NAME, number(5, 7), number(20, 1)],
        [b"head", NAME, number(4, 5 << 16 | 8), number(20, 1), number(5, 7)],
        [b"head", number(5, 3), number(4, 1500), NAME, number(5, 7)],
        [b"head", NAME, number(4, 1500), attribute(5, b"a\0"), number(20, 1)],
        [b"head", NAME, number(4, 1500), number(6, 7), number(20, 1)],
        [b"head", NAME, number(4, 1500), number(5 | 0x8000, 7), number(20, 1)],
        [b"head", attribute(3, bytes(28))],
        [b"head"],
        [],
    )
    for parts in (*others, *reversed(others), usual):
        data = b"".join(parts)
        assert place.of(data) == netlink.first(data, 5, 4), parts
    for size in range(100):
        place.of(b"".join([b"head", attribute(3, bytes(size)), number(5, size)]))
    assert len(place._known) <= 16


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (state.interface_in, HEAD[:6]),
        (state.interface_in, HEAD + NAME),  # no MTU
        (state.way_in, struct.pack("=BBBBBBBBI", 7, 32, 0, 0, 254, 0, 0, 1, 0)),  # no family of ours
        (state.way_in, struct.pack("=BBBBBBBBI", 2, 99, 0, 0, 254, 0, 0, 1, 0)),
        (state.ends_in, b"\0"),
        (conntrack.ends, FLOW),
        (read_flow, FLOW),
        (lambda body: list(neighbours.neighbours(Dumped(body))), b""),
        (lambda body: neighbours.neighbour(Dumped(body), 7, ip_address("10.1.0.1")), FLOW),
        (lambda body: Dumped(body).deleting("calico_rkt", "out-web", b""), FLOW),  # a rule without a handle
    ],
)
def test_what_a_reader_does_not_find_is_an_error_that_says_so(read, body):
    with pytest.raises(netlink.NetlinkError, match="has a shape that is not known here"):
        read(body)


def test_an_error_of_a_socket_names_its_place_as_one_of_a_file_does(capsys):
    """Else a command says that its own output can't be written."""
    gone = netlink.Socket()
    gone.close()

    def refused():
        raise netlink.NetlinkError(1, "", 0)

    for act in (lambda: gone.get(18, b""), lambda: netlink.Socket(77), refused):
        assert guarded("calico-rkt status", act) == 2
        assert capsys.readouterr().err.startswith("calico-rkt status: netlink: ")
