"""A log that cannot be written costs lines, which are counted, and nothing else."""

import fcntl
import os
import socket
import threading
from datetime import UTC, datetime

import pytest
import structlog

from towerops_agent.telemetry import logs
from towerops_agent.telemetry.logs import LogQueue

PIPE_OCTETS = 4096
PATIENCE_S = 60.0
LINE = "x" * 99 + "\n"
NOON = datetime(2026, 1, 9, 12, tzinfo=UTC)
LOST = 'time=2026-01-09T12:00:00.000Z level=error msg="log could not be written, lines were dropped" lines=7'


@pytest.fixture
def pipe():
    """(read end, write end) of a pipe that holds 4,096 octets."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue  # the test has closed it


def read_all(end: int) -> str:
    octets = b""
    while chunk := os.read(end, 65536):
        octets += chunk
    return octets.decode()


def test_lines_come_out_whole_and_in_their_order(pipe):
    read, write = pipe
    queue = LogQueue(write)
    for i in range(10):
        queue.write(f"line {i}\n")
    queue.close()
    os.close(write)
    assert read_all(read) == "".join(f"line {i}\n" for i in range(10))


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_that_nobody_reads_costs_lines_and_the_first_one_after_says_how_many(pipe, blocking):
    read, write = pipe
    os.set_blocking(write, blocking)
    os.write(write, b"." * (PIPE_OCTETS - 1) + b"\n")  # full before the first line
    queue = LogQueue(write, most_octets=10 * len(LINE))
    logs.configure("info", "logfmt", queue, now=lambda: NOON)
    counted = []
    queue.count = counted.append
    for _ in range(10 + 7):
        queue.write(LINE)
    assert os.read(read, PIPE_OCTETS).strip(b".") == b"\n"
    assert queue.drained(PATIENCE_S)
    queue.write("the first after\n")
    queue.close(PATIENCE_S)
    os.close(write)
    assert read_all(read).splitlines() == [*[LINE.strip()] * 10, LOST, "the first after"]
    assert counted == [7]


def test_a_pipe_whose_reader_is_gone_fails_nobody(pipe):
    read, write = pipe
    os.close(read)
    queue = LogQueue(write)
    queue.write(LINE)
    queue.close()


def test_lines_for_which_a_disk_has_no_room_are_counted_and_said_once_it_has(tmp_path):
    path = tmp_path / "agent.log"
    log = os.open("/dev/full", os.O_WRONLY)
    queue = LogQueue(log)
    logs.configure("info", "logfmt", queue, now=lambda: NOON)
    counted = []
    queue.count = counted.append
    for _ in range(7):
        queue.write(LINE)
        assert queue.drained(PATIENCE_S)
    assert sum(counted) == 6  # and the last one, as soon as there is another
    room = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(room, log)
    queue.write("the first after\n")
    assert queue.drained(PATIENCE_S)
    queue.write("the second\n")
    queue.close(PATIENCE_S)
    os.close(room)
    os.close(log)
    assert path.read_text().splitlines() == ["the first after", LOST, "the second"]
    assert sum(counted) == 7


def test_a_log_that_can_be_written_again_stops_nobody(tmp_path):
    """structlog has a lock for each stream, which whoever logs a line holds meanwhile."""
    log = os.open("/dev/full", os.O_WRONLY)
    queue = LogQueue(log)
    logs.configure("info", "logfmt", queue)

    def lines(*events):
        for event in events:
            structlog.get_logger().info(event)
            assert queue.drained(PATIENCE_S)

    lines("lost")
    room = os.open(tmp_path / "agent.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(room, log)
    writing = threading.Thread(target=lines, args=("a", "b", "c"), daemon=True)
    writing.start()
    writing.join(PATIENCE_S)
    assert not writing.is_alive()
    queue.close(PATIENCE_S)
    os.close(room)
    os.close(log)
    assert [line.partition("msg=")[2] for line in (tmp_path / "agent.log").read_text().splitlines()] == [
        *("a", '"log could not be written, lines were dropped" lines=1', "b", "c")
    ]


def test_a_line_behind_one_that_could_be_written_in_part_begins_by_itself(tmp_path):
    path = tmp_path / "agent.log"
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_OCTETS)
    queue = LogQueue(ours.fileno())
    queue.write("x" * 1_000_000 + "\n")  # more than the socket takes
    assert theirs.recv(1)
    theirs.close()
    assert queue.drained(PATIENCE_S)
    with path.open("wb") as room:
        os.dup2(room.fileno(), ours.fileno())
    queue.write(LINE)
    queue.close(PATIENCE_S)
    ours.close()
    assert path.read_text() == "\n" + LINE


def test_a_stop_does_not_wait_for_a_log_that_blocks(pipe):
    _, write = pipe
    queue = LogQueue(write)
    queue.write("x" * (2 * PIPE_OCTETS))
    queue.close(within_s=0.05)


def test_the_log_writes_its_lines_through_the_queue(pipe):
    read, write = pipe
    queue = LogQueue(write)
    logs.configure("info", "logfmt", queue)
    structlog.get_logger().info("a line")
    queue.close()
    os.close(write)
    assert 'level=info msg="a line"' in read_all(read)
