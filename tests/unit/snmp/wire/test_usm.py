"""The course of a request over SNMPv3: discovery, time, restarts, refusals, and what is not believed."""

from dataclasses import replace

import pytest

from support import asking, usm_agent
from support.usm_agent import UsmAgent, user
from towerops_agent.reasons import Discard, Reason
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.codec import decode_pdu, encode_message
from towerops_agent.snmp.wire.exchange import DOUBT_S, MOST_REPEATS, Doubted, Exchanges, NoReply, Reply, Transaction, V3Course
from towerops_agent.snmp.wire.message import LOWEST_ID, Community, Message, Pdu, PduType, Version
from towerops_agent.snmp.wire.usm import AskAgain, UsmSecurity
from towerops_agent.snmp.wire.usm_keys import AuthScheme, PrivScheme
from towerops_agent.snmp.wire.v3message import ENCRYPTED, context_name, decode_v3, encode_v3, scoped_pdu_at

PEER = ("192.0.2.1", 161)
WALL_US = 1_767_986_535_123_456
REQUEST = asking.request("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.7.0")

LEVELS = {
    "noAuthNoPriv": user(None, None),
    "authNoPriv": user(AuthScheme.SHA, None),
    "authPriv, DES": user(AuthScheme.MD5, PrivScheme.DES),
    "authPriv, AES": user(),
}


class Field:
    """A poller and one device, without a network between them: what is sent is answered at once, or lost."""

    def __init__(self, agent, security=None):
        ids = iter(range(LOWEST_ID, LOWEST_ID + 10_000))
        self.agent = agent
        self.security = security or UsmSecurity(agent.user)
        self.exchanges = Exchanges(lambda: next(ids))
        self.now = 100.0
        self.sent = []

    def open(self, timeouts_s=(1.0, 2.0)):
        transaction = Transaction(PEER, self.security, REQUEST, timeouts_s)
        usm_agent.equip(self.security)
        return transaction, self.exchanges.attempt(transaction, self.now)

    def receive(self, octets, peer=PEER):
        return self.exchanges.receive(octets, peer, self.now, WALL_US)

    def ask(self, timeouts_s=(1.0, 2.0)):
        """What comes of one request, the time that passes meanwhile included."""
        others = len(self.exchanges)
        transaction, step = self.open(timeouts_s)
        while True:
            datagram, timeout_s = step
            self.sent.append(datagram)
            octets = self.agent.answer(datagram, self.now)
            outcome = self.receive(octets) if octets is not None else None
            if outcome is None or isinstance(outcome, Discard):
                self.now += timeout_s
                step = self.exchanges.attempt(transaction, self.now)
                if step is None:
                    return self.exchanges.give_up(transaction)
                continue
            verdict = outcome[1]
            if isinstance(verdict, Doubted):
                self.now += verdict.wait_s
                verdict = self.exchanges.believe(transaction)
            if isinstance(verdict, AskAgain):
                usm_agent.equip(self.security)
                step = self.exchanges.repeat(transaction, self.now)
            else:
                assert outcome[0] is transaction
                assert len(self.exchanges) == others
                return verdict

    def changes(self):
        taken = [change.kind for _, change in self.exchanges.changes]
        self.exchanges.changes.clear()
        return taken


@pytest.mark.parametrize("level", LEVELS)
def test_a_context_is_asked_by_its_name(level):
    agent = UsmAgent(LEVELS[level], context=b"vlan-1030")
    assert Field(agent, UsmSecurity(agent.user, b"vlan-1030")).ask().pdu.values == [1, 2]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("asked", [b"", b"vlan-1031"])
def test_a_context_that_the_device_lacks_ends_the_request_at_once(level, asked):
    agent = UsmAgent(LEVELS[level], context=b"vlan-1030")
    field = Field(agent, UsmSecurity(agent.user, asked))
    assert field.ask() == NoReply("unknown_context", 1)
    assert field.ask() == NoReply("unknown_context", 1)
    assert agent.answered == 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("context", [b"", b"vlan-1031"])
def test_a_value_of_another_context_than_the_one_asked_is_discarded(level, context):
    agent = UsmAgent(LEVELS[level], context=b"vlan-1030")
    field = Field(agent, UsmSecurity(agent.user, b"vlan-1030"))
    field.ask()
    _, (datagram, _) = field.open()
    message = decode_v3(datagram)
    request = Pdu(PduType.GET, message.message_id, names=REQUEST.names)
    assert field.receive(agent.respond(message.message_id, request, field.now, context=context)) == Discard("wrong_context")
    assert isinstance(field.receive(agent.respond(message.message_id, request, field.now))[1], Reply)
    assert not len(field.exchanges)


@pytest.mark.parametrize("level", LEVELS)
def test_an_engine_is_discovered_once_and_then_each_request_is_one_message(level):
    field = Field(UsmAgent(LEVELS[level]))
    assert field.ask().pdu.values == [1, 2]
    assert field.agent.seen == [usm_agent.UNKNOWN_ENGINE, PduType.GET]
    for _ in range(3):
        assert isinstance(field.ask(), Reply)
    assert field.agent.seen[2:] == [PduType.GET] * 3
    assert field.changes() == ["discovered"]


def test_a_discovery_names_no_user_and_asks_for_nothing():
    field = Field(UsmAgent(user()))
    _, (datagram, _) = field.open()
    message = decode_v3(datagram)
    assert (message.engine_id, message.user, message.flags, message.digest, message.salt) == (b"", b"", 4, b"", b"")
    assert b"poller" not in datagram


def test_a_request_with_privacy_shows_no_name_that_it_asks_for():
    field = Field(UsmAgent(user()))
    field.ask()
    assert all(REQUEST.names[0] not in datagram for datagram in field.sent)
    noticed = Field(UsmAgent(user(priv=None)))
    noticed.ask()
    assert REQUEST.names[0] in noticed.sent[-1]


def test_no_two_messages_have_the_same_salt():
    """Nor does a repeated request have that of the first one: its ID is another, too. The count runs over its end."""
    for priv in (PrivScheme.DES, PrivScheme.AES_128):
        field = Field(UsmAgent(user(priv=priv)))
        for _ in range(6):
            field.ask()
        salts = [decode_v3(datagram).salt for datagram in field.sent[1:]]
        assert len(set(salts)) == len(salts) == 6
        assert {len(salt) for salt in salts} == {8}


def test_time_runs_on_between_requests():
    """Hours later the device still finds the message in its time window."""
    field = Field(UsmAgent(user()))
    field.ask()
    field.now += 36_000
    assert isinstance(field.ask(), Reply)
    assert field.agent.seen[-2:] == [PduType.GET, PduType.GET]


def test_a_device_whose_clock_drifts_is_followed():
    """Each answer has its time, so that drifts of 100 s an hour never add up."""
    field = Field(UsmAgent(user()))
    for _ in range(10):
        assert isinstance(field.ask(), Reply)
        field.now += 3_600
        field.agent.booted_at += 100
    assert usm_agent.NOT_IN_WINDOW not in field.agent.seen
    assert field.changes() == ["discovered"]


@pytest.mark.parametrize(
    ("what", "boots", "engine_id", "kinds"),
    [
        ("restarted", 4, usm_agent.ENGINE_ID, ["restarted"]),
        ("restarted several times", 9, usm_agent.ENGINE_ID, ["restarted"]),
        ("lost its count of boots", 1, usm_agent.ENGINE_ID, ["boots_reset"]),
        ("does not count its boots", 3, usm_agent.ENGINE_ID, ["boots_reset"]),
        ("was replaced", 1, b"\x80\0\x1f\x88\x80another", ["replaced"]),
    ],
)
@pytest.mark.parametrize("level", ["authNoPriv", "authPriv, DES", "authPriv, AES"])
def test_a_device_that_restarted_is_read_by_the_same_request(level, what, boots, engine_id, kinds):
    """Without a timeout: reports say what there is to know. One of another engine waits until no authentic answer came."""
    field = Field(UsmAgent(LEVELS[level]))
    field.ask()
    field.changes()
    field.now += 60
    field.agent.reboot(field.now - 20, boots)
    field.agent.engine_id = engine_id
    before = field.now
    assert isinstance(field.ask(), Reply)
    assert field.now == before + (DOUBT_S if what == "was replaced" else 0)
    assert field.changes() == kinds
    field.now += 60
    assert isinstance(field.ask(), Reply)
    assert field.agent.seen[-2:] == [PduType.GET, PduType.GET]
    assert field.changes() == []


def test_a_restart_during_silence_is_reported_too():
    """The device is discovered again after silence; what it said before is remembered."""
    field = Field(UsmAgent(user()))
    field.ask()
    agent, answer = field.agent, field.agent.answer
    agent.answer = lambda datagram, now: None
    assert field.ask() == NoReply("timeout", 2)
    agent.answer = answer
    agent.reboot(field.now - 5, 1)
    assert isinstance(field.ask(), Reply)
    assert field.changes() == ["discovered", "boots_reset"]


def test_a_device_that_sends_no_time_when_discovered_is_asked_once_more():
    """boots and time 0 in the first report, as RFC 3414 §4 allows; then a report of its own about the time."""
    agent = UsmAgent(user())
    answer = agent.answer

    def shy(datagram, now):
        message = decode_v3(datagram)
        if message.engine_id:
            return answer(datagram, now)
        return agent.report(message, usm_agent.UNKNOWN_ENGINE, now, boots=0, time_s=0)

    agent.answer = shy
    field = Field(agent)
    assert isinstance(field.ask(), Reply)
    assert agent.seen == [usm_agent.UNKNOWN_ENGINE, usm_agent.NOT_IN_WINDOW, PduType.GET]
    assert field.changes() == ["discovered"]


def test_a_discovery_answered_by_another_report_will_do():
    """Some agents find an unknown user before an unknown engine."""
    agent = UsmAgent(user())
    answer = agent.answer
    agent.answer = lambda datagram, now: (
        answer(datagram, now) if decode_v3(datagram).engine_id else agent.report(decode_v3(datagram), usm_agent.UNKNOWN_USER, now)
    )
    assert isinstance(Field(agent).ask(), Reply)


@pytest.mark.parametrize(
    ("reason", "served"),
    [
        ("unknown_user", user(name=b"somebody")),
        ("wrong_auth_password", user(auth_password=b"another-one")),
        ("wrong_auth_password", user(AuthScheme.SHA_512)),
        ("unsupported_security_level", user(priv=None)),
        ("unsupported_security_level", user(None, None)),
    ],
)
def test_what_the_device_has_against_the_user_ends_the_request_unless_it_answers_after_all(reason, served):
    """Anybody can send such a report, so it counts a moment later: at the first attempt, and the next request is no different."""
    field = Field(UsmAgent(served), UsmSecurity(user()))
    before = field.now
    assert field.ask() == NoReply(reason, 1)
    assert field.now == before + DOUBT_S
    assert field.ask() == NoReply(reason, 1)


WRONG_PRIVACY = {
    "password": user(priv_password=b"another-one"),
    "protocol": user(priv=PrivScheme.DES),
    "key length": user(priv=PrivScheme.AES_256),
}


@pytest.mark.parametrize("what", WRONG_PRIVACY)
def test_wrong_privacy_is_reported_by_a_device_that_reports_it(what):
    field = Field(UsmAgent(WRONG_PRIVACY[what], mute_on_noise=False), UsmSecurity(user()))
    assert field.ask() == NoReply("wrong_priv", 1)


@pytest.mark.parametrize("what", WRONG_PRIVACY)
def test_wrong_privacy_is_found_out_where_the_device_meets_it_with_silence(what):
    """By a message that is authenticated, and an encrypted one that is small; each time, as nothing was ever decrypted."""
    field = Field(UsmAgent(WRONG_PRIVACY[what]), UsmSecurity(user()))
    for _ in range(2):
        assert field.ask() == NoReply("wrong_priv", 2)
        assert field.agent.seen[-1] == usm_agent.NOT_IN_WINDOW
    assert all(REQUEST.names[0] not in datagram for datagram in field.sent)


def test_a_device_that_accepts_no_large_request_has_the_right_privacy():
    """It answers the small one, so silence was about the request."""
    agent = UsmAgent(user())
    answer = agent.answer
    agent.answer = lambda datagram, now: None if len(decode_v3(datagram).data) > 60 else answer(datagram, now)
    field = Field(agent)
    assert field.ask() == NoReply("timeout", 2)
    assert agent.seen == [usm_agent.UNKNOWN_ENGINE, usm_agent.NOT_IN_WINDOW, PduType.GET]


def test_a_dead_device_gets_no_more_than_the_attempts():
    field = Field(UsmAgent(user()))
    field.agent.answer = lambda datagram, now: None
    assert field.ask() == NoReply("timeout", 2)
    assert len(field.sent) == 2


def test_a_device_that_was_read_once_with_privacy_is_not_examined_when_it_falls_silent():
    """Its privacy is known to be right, so silence is silence: no message more than the attempts, and no wrong_priv."""
    field = Field(UsmAgent(user()))
    assert isinstance(field.ask(), Reply)
    before = len(field.sent)
    field.agent.answer = lambda datagram, now: None
    assert field.ask() == NoReply("timeout", 2)
    assert len(field.sent) - before == 2


def test_a_late_reply_to_an_early_attempt_is_taken_while_privacy_is_examined():
    """And one to the examination itself is not a reply to the request."""
    field = Field(UsmAgent(user()))
    transaction, (datagram, _) = field.open((1.0,))
    field.receive(field.agent.answer(datagram, field.now))
    usm_agent.equip(field.security)
    held = field.agent.answer(field.exchanges.repeat(transaction, field.now)[0], field.now)
    field.now += 1
    synchronisation, _ = field.exchanges.attempt(transaction, field.now)
    assert isinstance(field.receive(field.agent.answer(synchronisation, field.now))[1], AskAgain)
    field.exchanges.repeat(transaction, field.now)
    assert field.receive(held)[1].pdu.values == [1, 2]


@pytest.mark.parametrize("number", [usm_agent.NOT_IN_WINDOW, usm_agent.UNKNOWN_ENGINE])
def test_a_device_that_only_ever_reports_is_asked_so_often_and_no_more(number):
    """Each time with another engine ID, or with a time that is never right."""
    agent = UsmAgent(user())
    answer, told = agent.answer, []

    def report(datagram, now):
        told.append(datagram)
        message = decode_v3(datagram)
        if number == usm_agent.UNKNOWN_ENGINE:
            return agent.report(message, number, now, engine_id=b"engine %d" % len(told))
        return answer(datagram, now) if not message.engine_id else agent.report(message, number, now, 1)

    agent.answer = report
    field = Field(agent)
    reason = "not_in_time_window" if number == usm_agent.NOT_IN_WINDOW else "unknown_engine_id"
    assert field.ask() == NoReply(reason, 1)
    assert len(told) == 1 + MOST_REPEATS


# What is not believed

FORGED = {
    "unsupported level": (usm_agent.UNSUPPORTED_LEVEL, usm_agent.ENGINE_ID),
    "not in time window": (usm_agent.NOT_IN_WINDOW, usm_agent.ENGINE_ID),
    "unknown user": (usm_agent.UNKNOWN_USER, usm_agent.ENGINE_ID),
    "unknown engine": (usm_agent.UNKNOWN_ENGINE, usm_agent.ENGINE_ID),
    "another engine": (usm_agent.UNKNOWN_ENGINE, b"another engine"),
    "wrong digest": (usm_agent.WRONG_DIGEST, usm_agent.ENGINE_ID),
    "decryption": (usm_agent.DECRYPTION, usm_agent.ENGINE_ID),
}
"""Reports that anybody may send who sees a request: their number, and the engine's ID in them."""


def ready(level="authPriv, AES"):
    """A field where the engine is known, a transaction that was sent, and what the device read of it."""
    field = Field(UsmAgent(LEVELS[level]))
    field.ask()
    field.changes()
    transaction, (datagram, _) = field.open()
    asked = Pdu(PduType.GET, decode_v3(datagram).message_id, names=list(REQUEST.names))
    return field, transaction, decode_v3(datagram), asked


@pytest.mark.parametrize("level", ["authNoPriv", "authPriv, DES", "authPriv, AES"])
@pytest.mark.parametrize("forged", FORGED)
def test_an_authentic_answer_counts_although_forged_reports_were_faster(level, forged):
    """As many as are sent: nothing is forgotten or replaced because of them, and no request is given up."""
    number, engine_id = FORGED[forged]
    field, _, message, asked = ready(level)
    for _ in range(2 * MOST_REPEATS):
        field.receive(field.agent.report(message, number, field.now, engine_id=engine_id))
    _, reply = field.receive(field.agent.respond(message.message_id, asked, field.now))
    assert reply.pdu.names == asked.names
    assert not len(field.exchanges)
    assert field.changes() == []
    assert isinstance(field.ask(), Reply)
    assert field.agent.seen[-1] == PduType.GET


def test_a_doubted_report_waits_no_longer_than_its_attempt():
    field = Field(UsmAgent(user(name=b"somebody")), UsmSecurity(user()))
    before = field.now
    assert field.ask((DOUBT_S / 4,)) == NoReply("unknown_user", 1)
    assert field.now == before + DOUBT_S / 4


def test_a_further_doubted_report_puts_nothing_off():
    field, transaction, message, _ = ready()
    assert field.receive(field.agent.report(message, usm_agent.UNKNOWN_USER, field.now)) == (transaction, Doubted(DOUBT_S))
    assert field.receive(field.agent.report(message, usm_agent.WRONG_DIGEST, field.now)) == Discard("repeated_report")
    assert field.exchanges.believe(transaction) == NoReply("unknown_user", 1)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("wrong_user", {"name": b"somebody"}),
        ("wrong_request_id", {"request_id": LOWEST_ID + 77}),
        ("foreign_engine", {"engine_id": b"another engine"}),
    ],
)
def test_a_response_that_differs_is_discarded_and_the_right_one_still_awaited(level, reason, change):
    field, transaction, message, asked = ready(level)
    assert field.receive(field.agent.respond(message.message_id, asked, field.now, **change)) == Discard(reason)
    assert field.receive(field.agent.respond(message.message_id, asked, field.now))[0] is transaction


@pytest.mark.parametrize("flags", [0, 1])
def test_a_response_with_less_protection_than_the_request_is_discarded(flags):
    field, _, message, asked = ready()
    assert field.receive(field.agent.respond(message.message_id, asked, field.now, flags=flags)) == Discard(
        "wrong_security_level"
    )


def test_a_response_with_more_protection_than_the_user_has_is_discarded():
    field, transaction, message, asked = ready("authNoPriv")
    other = UsmAgent(user(AuthScheme.SHA))
    octets = other.respond(message.message_id, asked, field.now)
    assert field.receive(octets) == Discard("wrong_security_level")
    assert field.receive(field.agent.respond(message.message_id, asked, field.now))[0] is transaction


def test_a_response_with_a_digest_to_a_user_without_a_password_is_discarded():
    """It has no key to be verified with."""
    field, transaction, message, asked = ready("noAuthNoPriv")
    octets = UsmAgent(user(AuthScheme.SHA, None)).respond(message.message_id, asked, field.now)
    assert field.receive(octets) == Discard("foreign_engine")
    assert field.receive(field.agent.respond(message.message_id, asked, field.now))[0] is transaction


def test_an_authentic_response_that_can_t_be_decrypted_means_the_wrong_key():
    field, transaction, message, asked = ready()
    other = UsmAgent(user(priv_password=b"another-one"))
    octets = other.respond(message.message_id, asked, field.now)
    assert field.receive(octets) == (transaction, NoReply("wrong_priv", 1))


def test_an_authentic_response_with_bad_varbinds_is_malformed():
    field, _, message, _ = ready()
    broken = Pdu(PduType.RESPONSE, message.message_id)
    broken.type = 0x30
    assert field.receive(field.agent.message(message.message_id, broken, field.now)) == Discard("malformed")


def test_a_response_from_another_address_is_discarded_and_reported():
    field, transaction, message, asked = ready()
    octets = field.agent.respond(message.message_id, asked, field.now)
    assert field.receive(octets, ("192.0.2.9", 161)) == Discard("foreign_peer")
    assert field.exchanges.give_up(transaction) == NoReply("timeout", 1, answered_from=("192.0.2.9", 161))


def test_a_replayed_response_is_never_accepted():
    """Neither to its own request, nor with another's ID put in, nor after a restart of the device."""
    field, _, message, asked = ready()
    octets = field.agent.respond(message.message_id, asked, field.now)
    assert isinstance(field.receive(octets)[1], Reply)
    assert field.receive(octets) == Discard("late")
    _, (datagram, _) = field.open()
    again = decode_v3(datagram).message_id
    forged = octets.replace(message.message_id.to_bytes(4, "big"), again.to_bytes(4, "big"))
    assert field.receive(forged) == Discard("wrong_digest")


def test_an_old_but_authentic_response_is_not_taken_and_the_request_asked_again():
    """Of an earlier boot: its engine is believed, since it answers our message, and its values are not."""
    field, transaction, message, asked = ready()
    old = field.agent.respond(message.message_id, asked, field.now, boots=2)
    assert field.receive(old) == (transaction, AskAgain("not_in_time_window", True))
    assert len(field.exchanges) == 1


def test_an_engine_at_its_last_boot_is_in_no_time_window():
    """RFC 3414 §2.2.2: it has to be set up again."""
    field = Field(UsmAgent(user(), boots=0x7FFFFFFF))
    assert field.ask() == NoReply("not_in_time_window", 1)


def test_a_message_of_another_version_with_the_right_id_is_discarded():
    field, _, message, asked = ready()
    reply = Pdu(PduType.RESPONSE, message.message_id, names=asked.names, tags=bytes([ber.NULL]) * 2, values=[None, None])
    assert field.receive(encode_message(Message(1, b"public", reply))) == Discard("wrong_version")
    plain = Transaction(PEER, Community(Version.V2C, b"public"), REQUEST, (1.0,))
    field.exchanges.attempt(plain, field.now)
    request_id = next(iter(plain.sent_at))
    assert field.receive(field.agent.respond(request_id, asked, field.now)) == Discard("wrong_version")


@pytest.mark.parametrize(
    ("reason", "build"),
    [
        ("unknown_id", lambda field, message: field.agent.report(replace(message, message_id=1), 5, field.now)),
        ("foreign_engine", lambda field, message: field.agent.report(message, 5, field.now, engine_id=b"another engine")),
        ("unknown_report", lambda field, message: field.agent.report(message, 77, field.now)),
        ("no_engine_id", lambda field, message: field.agent.report(message, 4, field.now, engine_id=b"")),
        ("no_engine_id", lambda field, message: field.agent.report(message, 4, field.now, engine_id=bytes(33))),
        ("not_a_response", lambda field, message: field.agent.message(message.message_id, Pdu(PduType.GET, 1), field.now)),
    ],
    ids=["of another message", "another engine's", "of no usmStats", "no ID", "too long an ID", "a request"],
)  # fmt: skip
def test_a_report_that_is_of_no_use_is_discarded(reason, build):
    field, transaction, message, asked = ready()
    assert field.receive(build(field, message)) == Discard(reason)
    assert field.receive(field.agent.respond(message.message_id, asked, field.now))[0] is transaction


def test_a_report_of_an_engine_that_is_known_by_now_counts_once():
    """Of a discovery that was sent twice, or by two requests at once: each asks again once."""
    field, transaction, message, _ = ready()
    report = field.agent.report(message, usm_agent.UNKNOWN_ENGINE, field.now)
    assert field.receive(report) == (transaction, AskAgain("unknown_engine_id", False, news=False))
    assert field.receive(report) == Discard("repeated_report")


def test_a_time_that_is_not_authenticated_changes_nothing_once_one_was():
    field, _, message, _ = ready()
    field.receive(field.agent.report(message, usm_agent.NOT_IN_WINDOW, field.now, boots=77, time_s=1))
    assert field.changes() == []
    assert isinstance(field.ask(), Reply)
    assert field.agent.seen[-1] == PduType.GET


@pytest.mark.parametrize("flags", [2, 6])
def test_privacy_without_authentication_is_malformed(flags):
    field, _, message, _ = ready()
    assert field.receive(encode_v3(message.message_id, flags, b"\x04\x02\x30\x00", b"\x04\x00")) == Discard("malformed")


def test_two_devices_with_the_same_engine_id_keep_their_own_keys_and_times():
    """Cloned from one image: the same user and engine ID, other passwords, other boots."""
    one = Field(UsmAgent(user(), boots=9, booted_at=-5e6))
    other = Field(UsmAgent(user(auth_password=b"another-one"), boots=1, booted_at=0.0))
    for _ in range(3):
        for field in (one, other):
            assert isinstance(field.ask(), Reply)
    assert one.changes() == other.changes() == ["discovered"]
    assert one.agent.seen == other.agent.seen == [usm_agent.UNKNOWN_ENGINE, *[PduType.GET] * 3]


def test_a_repeated_request_has_the_time_of_its_attempt_and_was_sent_now():
    field = Field(UsmAgent(user()))
    transaction, (datagram, timeout_s) = field.open((1.0, 2.0, 4.0))
    assert timeout_s == 1.0
    field.now += 0.25
    _, verdict = field.receive(field.agent.answer(datagram, field.now))
    assert isinstance(verdict, AskAgain)
    usm_agent.equip(field.security)
    assert field.exchanges.repeat(transaction, field.now)[1] == 1.0
    assert sorted(transaction.sent_at.values()) == [100.0, 100.25]


def test_the_examination_of_privacy_is_sent_at_the_time_that_it_is():
    field = Field(UsmAgent(user()))
    transaction, (datagram, _) = field.open((1.0,))
    field.receive(field.agent.answer(datagram, field.now))
    usm_agent.equip(field.security)
    field.exchanges.repeat(transaction, field.now)
    field.now += 1.0
    examination, timeout_s = field.exchanges.attempt(transaction, field.now)
    assert decode_v3(examination).flags & ENCRYPTED == 0
    assert timeout_s == 1.0
    assert sorted(transaction.sent_at.values()) == [100.0, 100.0, 101.0]


def test_reports_of_the_engine_repeat_a_request_so_often_and_no_more():
    field, transaction, *_ = ready()
    transaction.v3 = V3Course(doubted=Reason.UNKNOWN_ENGINE_ID)
    verdicts = [field.exchanges.believe(transaction) for _ in range(MOST_REPEATS + 1)]
    assert verdicts == [AskAgain(Reason.UNKNOWN_ENGINE_ID, False)] * MOST_REPEATS + [NoReply("unknown_engine_id", 1)]


@pytest.mark.parametrize("level", ["authNoPriv", "authPriv, AES"])
def test_a_question_for_the_engines_time_names_engine_user_and_context_and_asks_for_nothing(level):
    agent = UsmAgent(LEVELS[level], context=b"vlan-1030")
    field = Field(agent, UsmSecurity(agent.user, b"vlan-1030"))
    field.ask()
    message = decode_v3(field.security.encode_synchronisation(LOWEST_ID))
    assert (message.engine_id, message.user, message.boots, message.time_s) == (agent.engine_id, agent.user.name, 0, 0)
    assert context_name(message.data) == b"vlan-1030"
    pdu = decode_pdu(message.data, *scoped_pdu_at(message.data))
    assert (pdu.type, pdu.request_id, pdu.names) == (PduType.GET, LOWEST_ID, [])
