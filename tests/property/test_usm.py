"""USM under fire: whatever arrives, nothing raises, and nothing but the device's own answer to this request is taken for it."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from support import asking, usm_agent
from support.strategies import mutated
from support.usm_agent import UsmAgent, user
from towerops_agent.errors import MalformedMessage
from towerops_agent.reasons import Discard
from towerops_agent.snmp.wire.exchange import Doubted, Exchanges, Reply, Transaction
from towerops_agent.snmp.wire.message import LOWEST_ID, Pdu, PduType
from towerops_agent.snmp.wire.usm import AskAgain, UsmSecurity
from towerops_agent.snmp.wire.usm_keys import AuthScheme, PrivScheme
from towerops_agent.snmp.wire.usm_privacy import make_privacy
from towerops_agent.snmp.wire.v3message import decode_v3, scoped_pdu_at

PEER = ("192.0.2.1", 161)
REQUEST = asking.request("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.7.0")
NOW = 100.0

USERS = st.sampled_from(
    (
        user(),
        user(AuthScheme.SHA, None),
        user(AuthScheme.MD5, PrivScheme.DES),
        user(AuthScheme.SHA_512, PrivScheme.AES_256_C),
    )
)
UNSIGNED_31 = st.integers(0, 2**31 - 1)
KINDS = ("response", "other request", "old", "report", "discovery", "refusal")


class Scene:
    """A device whose engine is known, and one request to it that was sent."""

    def __init__(self, wanted):
        ids = iter(range(LOWEST_ID, LOWEST_ID + 1000))
        self.agent = UsmAgent(wanted)
        self.security = UsmSecurity(wanted)
        self.exchanges = Exchanges(lambda: next(ids))
        first, datagram = self.open()
        while True:
            outcome = self.receive(self.agent.answer(datagram, NOW))
            if not isinstance(outcome[1], AskAgain):
                break
            usm_agent.equip(self.security)
            datagram, _ = self.exchanges.repeat(first, NOW)
        self.exchanges.changes.clear()
        self.transaction, self.datagram = self.open()
        self.asked = Pdu(PduType.GET, decode_v3(self.datagram).message_id, names=list(REQUEST.names))

    def open(self):
        transaction = Transaction(PEER, self.security, REQUEST, (1.0,))
        return transaction, self.exchanges.attempt(transaction, NOW)[0]

    def receive(self, octets, peer=PEER):
        return self.exchanges.receive(octets, peer, NOW, 0)

    def built(self, kind):
        """Something that the device, or somebody like it, may send."""
        message = decode_v3(self.datagram)
        match kind:
            case "response":
                return self.agent.respond(message.message_id, self.asked, NOW)
            case "other request":
                return self.agent.respond(message.message_id + 7, self.asked, NOW)
            case "old":
                return self.agent.respond(message.message_id, self.asked, NOW, boots=1)
            case "report":
                return self.agent.report(message, usm_agent.NOT_IN_WINDOW, NOW, 1)
            case "refusal":
                return self.agent.report(message, usm_agent.WRONG_DIGEST, NOW)
        return self.agent.report(message, usm_agent.UNKNOWN_ENGINE, NOW, engine_id=b"another engine")


@given(st.binary(max_size=300))
def test_any_octets_are_decoded_or_malformed(octets):
    with contextlib.suppress(MalformedMessage):
        message = decode_v3(octets)
        assert 0 <= message.digest_at <= len(message.octets) <= len(octets)
        scoped_pdu_at(message.data)


@given(USERS, st.sampled_from(KINDS), st.data())
def test_any_change_to_a_message_is_decoded_or_malformed(wanted, kind, data):
    octets = data.draw(mutated(st.just(Scene(wanted).built(kind))))
    with contextlib.suppress(MalformedMessage):
        decode_v3(octets)


@given(USERS, st.lists(st.sampled_from(KINDS), max_size=4), st.data())
def test_a_changed_message_is_never_taken_for_the_reply(wanted, kinds, data):
    """Nothing raises either, and the reply itself, if it comes after all that, is taken, unless the request has ended by then."""
    scene = Scene(wanted)
    reply = scene.built("response")
    genuine = Pdu(PduType.RESPONSE, scene.asked.request_id, names=list(REQUEST.names), tags=b"BB", values=[3, 4])
    for kind in kinds:
        octets = data.draw(mutated(st.just(scene.built(kind))))
        outcome = scene.receive(octets)
        if isinstance(outcome, Discard):
            continue
        answer = outcome[1]
        if isinstance(answer, Reply):  # octets behind a message do not change it
            assert answer.pdu.names == genuine.names
            assert octets[: len(reply)] != octets or len(octets) == len(reply)
        if not isinstance(answer, AskAgain | Doubted):
            return
    assert scene.receive(reply)[1].pdu == genuine


@given(USERS, st.data())
def test_a_reply_with_any_octet_changed_is_refused(wanted, data):
    """Within the message: the digest covers all of it."""
    scene = Scene(wanted)
    octets = bytearray(scene.built("response"))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    outcome = scene.receive(bytes(octets))
    assert isinstance(outcome, Discard) or not isinstance(outcome[1], Reply)


@given(USERS, st.sampled_from((("192.0.2.2", 161), ("192.0.2.1", 162), ("::1", 161, 0, 0))))
def test_a_reply_from_elsewhere_is_refused(wanted, peer):
    scene = Scene(wanted)
    assert scene.receive(scene.built("response"), peer) == Discard("foreign_peer")
    assert isinstance(scene.receive(scene.built("response"))[1], Reply)


@given(USERS, st.integers(1, 5))
def test_what_was_answered_is_never_taken_again(wanted, times):
    """Not for its own request, and not for the next one."""
    scene = Scene(wanted)
    reply = scene.built("response")
    assert isinstance(scene.receive(reply)[1], Reply)
    scene.open()
    for _ in range(times):
        assert scene.receive(reply) == Discard("late")


@given(st.sampled_from(PrivScheme), st.binary(max_size=200), UNSIGNED_31, UNSIGNED_31, st.integers(0, 2**64 - 1))
def test_what_is_encrypted_is_decrypted(protocol, plain, boots, time_s, salt):
    key = bytes(range(protocol.key_octets))
    octets, sent = make_privacy(protocol, key, salt).encrypt(plain, boots, time_s)
    decrypted = make_privacy(protocol, key, 0).decrypt(octets, boots, time_s, sent)
    assert decrypted[: len(plain)] == plain
    assert len(decrypted) - len(plain) < (8 if protocol is PrivScheme.DES else 1)
    assert plain not in octets or len(plain) < 4


@given(st.sampled_from(PrivScheme), st.binary(max_size=64), st.binary(max_size=12))
def test_decrypting_anything_gives_octets_or_is_malformed(protocol, octets, salt):
    with contextlib.suppress(MalformedMessage):
        assert len(make_privacy(protocol, bytes(32)[: protocol.key_octets], 0).decrypt(octets, 1, 1, salt)) == len(octets)
