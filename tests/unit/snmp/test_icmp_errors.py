"""What each ICMP error in a socket's queue means; test_client_icmp.py has those that a kernel queues."""

import errno
import socket
import struct
import sys

import pytest

from towerops_agent.reasons import Reason
from towerops_agent.snmp.icmp_errors import read_errors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports ICMP to a socket of many peers")


class Queue:
    """A socket with these errors in its queue: level, option and struct sock_extended_err of each."""

    def __init__(self, *entries):
        self._entries = list(entries)

    def recvmsg(self, _size, _ancillary, flags):
        assert flags == socket.MSG_ERRQUEUE
        if not self._entries:
            raise BlockingIOError(errno.EAGAIN, "empty")
        level, option, number, origin, kind, code = self._entries.pop(0)
        return b"", [(level, option, struct.pack("=IBBBBII", number, origin, kind, code, 0, 0, 0))], 0, ("192.0.2.1", 161)


V4, V6 = (socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)


@pytest.mark.parametrize(
    ("entry", "name", "reason", "words"),
    [
        ((*V4, errno.ECONNREFUSED, 2, 3, 3), "ECONNREFUSED", Reason.REFUSED, "port unreachable"),
        ((*V4, errno.EHOSTUNREACH, 2, 3, 1), "EHOSTUNREACH", Reason.UNREACHABLE, "no such host"),
        ((*V4, errno.ENETUNREACH, 2, 3, 0), "ENETUNREACH", Reason.UNREACHABLE, "no route to its network"),
        ((*V4, errno.EHOSTUNREACH, 2, 3, 13), "EHOSTUNREACH", Reason.UNREACHABLE, "forbids"),
        ((*V4, errno.EHOSTUNREACH, 2, 3, 10), "EHOSTUNREACH", Reason.UNREACHABLE, "forbids"),
        ((*V4, errno.ENETUNREACH, 2, 3, 9), "ENETUNREACH", Reason.UNREACHABLE, "forbids"),
        ((*V4, errno.EHOSTDOWN, 2, 3, 7), "EHOSTDOWN", Reason.UNREACHABLE, "no such host"),
        ((*V6, errno.EACCES, 3, 1, 1), "EACCES", Reason.UNREACHABLE, "forbids"),
        ((*V6, errno.ECONNREFUSED, 3, 1, 4), "ECONNREFUSED", Reason.REFUSED, "port unreachable"),
    ],
)
def test_each_error_says_why_the_device_can_not_be_reached(entry, name, reason, words):
    ((peer, called, meaning),) = read_errors(Queue(entry))
    assert (peer, called) == (("192.0.2.1", 161), name)
    assert meaning[0] is reason
    assert words in meaning[1]


def test_an_error_about_the_size_of_a_datagram_says_nothing_of_the_device():
    assert read_errors(Queue((*V4, errno.EMSGSIZE, 2, 3, 4))) == [(("192.0.2.1", 161), "EMSGSIZE", None)]


def test_other_ancillary_data_says_nothing():
    assert read_errors(Queue((socket.IPPROTO_IP, 8, errno.ECONNREFUSED, 2, 3, 3))) == []


def test_a_long_queue_is_read_in_parts():
    entries = [(*V4, errno.ECONNREFUSED, 2, 3, 3)] * 100
    queue = Queue(*entries)
    assert [len(read_errors(queue)) for _ in range(3)] == [64, 36, 0]
