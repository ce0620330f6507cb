"""The exchange of pings against a network that delays, doubles, loses and forges, and a model that only keeps a list.

Each reply is counted once or has the reason why not; no device gets another's reply, and no round one of another round.
"""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from towerops_agent.ping.wire.echo import Echo, decode_reply, encode_request
from towerops_agent.ping.wire.rounds import Round, Rounds
from towerops_agent.ping.wire.tally import Tally
from towerops_agent.reasons import Stray

PEERS = [("192.0.2.1", 0), ("192.0.2.2", 0), ("2001:db8::1", 0, 0, 0)]


class Network(RuleBasedStateMachine):
    """Rounds to three devices."""

    rounds = Bundle("rounds")
    echoes = Bundle("echoes")

    def __init__(self):
        super().__init__()
        self.now_us = 1_000_000
        self.ahead_us = 1_700_000_000_000_000  # of the wall clock
        self.drawn = 0
        self.open_ones = Rounds(self.draw)
        self.sent: dict[Round, list[int | None]] = {}  # the round trip of each echo, None until it came back
        self.closed: set[Round] = set()

    def draw(self) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(8)

    @rule(target=rounds, peer=st.sampled_from(PEERS), sequence=st.integers(0, 70_000))
    def a_round_begins(self, peer, sequence):
        begun = self.open_ones.open(peer, sequence)
        self.sent[begun] = []
        return begun

    @rule(target=echoes, of=rounds)
    def an_echo_is_sent(self, of):
        echo = of.next_echo()
        assert of.next_echo() == echo
        of.sent((self.now_us + self.ahead_us) * 1000, self.now_us / 1e6)
        self.sent[of].append(None)
        return of, len(self.sent[of]) - 1, self.wire(echo, of), self.now_us

    def wire(self, echo: Echo, of: Round) -> Echo:
        """The echo as it comes back: by the octets."""
        is_v6 = len(of.peer) == 4
        request = encode_request(echo, is_v6=is_v6)
        found = decode_reply(bytes([129 if is_v6 else 0]) + request[1:], is_v6=is_v6)
        assert found is not None
        return found[1]

    @property
    def clocks(self):
        """The wall clock in nanoseconds, and the monotonic one in seconds."""
        return (self.now_us + self.ahead_us) * 1000, self.now_us / 1e6

    @rule(passed_us=st.integers(0, 3_000_000))
    def time_passes(self, passed_us):
        self.now_us += passed_us

    @rule(step_us=st.integers(-10_000_000, 10_000_000))
    def the_wall_clock_is_set(self, step_us):
        """Only while nothing is on its way: what is, is measured by the other clock, or not at all (see unit tests)."""
        if all(None not in trips for of, trips in self.sent.items() if of not in self.closed):
            self.ahead_us += step_us

    @rule(sent=echoes, read_after_us=st.integers(0, 500_000), by_kernel=st.booleans())
    def a_reply_arrives(self, sent, read_after_us, by_kernel):
        """Possibly for the second time, or after the end; it is read some time later."""
        of, place, echo, sent_us = sent
        arrived_us, self.now_us = self.now_us, self.now_us + read_after_us
        arrived_ns = (arrived_us + self.ahead_us) * 1000 if by_kernel else None
        got = self.open_ones.receive(echo, of.peer, arrived_ns, *self.clocks)
        if of in self.closed:
            assert got is Stray.LATE
        elif self.sent[of][place] is not None:
            assert got is Stray.DOUBLE
        else:
            assert got is of
            self.sent[of][place] = (arrived_us if by_kernel else self.now_us) - sent_us

    @rule(sent=echoes, source=st.sampled_from(PEERS))
    def another_device_has_the_octets(self, sent, source):
        of, _, echo, _ = sent
        if source != of.peer and of not in self.closed:
            assert self.open_ones.receive(echo, source, None, *self.clocks) is Stray.FOREIGN_PEER

    @rule(sent=echoes, token=st.binary(min_size=8, max_size=8), number=st.integers(0, 20), sequence=st.integers(0, 0xFFFF))
    def somebody_forges_a_reply(self, sent, token, number, sequence):
        of, _, echo, _ = sent
        if token != echo.token:
            for forged in (replace(echo, token=token), replace(echo, token=token, number=number, sequence=sequence)):
                assert isinstance(self.open_ones.receive(forged, of.peer, None, *self.clocks), Stray)

    @rule(of=rounds)
    def a_reply_to_an_echo_that_was_never_sent(self, of):
        if of not in self.closed:
            assert self.open_ones.receive(of.next_echo(), of.peer, None, *self.clocks) is Stray.FORGED

    @rule(of=consumes(rounds))
    def a_round_ends(self, of):
        came = self.open_ones.close(of)
        self.closed.add(of)
        assert isinstance(came, Tally)
        trips = [trip for trip in self.sent[of] if trip is not None]
        assert (came.sent, came.received) == (len(self.sent[of]), len(trips))
        if trips:
            assert abs(came.rtt_min_us - min(trips)) <= 1  # seconds are floats
            assert abs(came.rtt_max_us - max(trips)) <= 1

    @invariant()
    def only_open_rounds_are_kept(self):
        assert len(self.open_ones) == len(self.sent.keys() - self.closed)
        for of, trips in self.sent.items():
            if of not in self.closed:
                assert (of.count, of.received) == (len(trips), sum(trip is not None for trip in trips))


TestNetwork = Network.TestCase
