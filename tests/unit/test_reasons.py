"""The reasons: each word once in the source, a code on disk that stays, words for the operator."""

import ast
from itertools import chain

import pytest

from support.source import modules
from towerops_agent.reasons import (
    ABSENT,
    CREDENTIALS,
    DROPPED,
    EVICTED,
    HIDDEN,
    STATE_WORDS,
    Discard,
    Fault,
    Loss,
    Reason,
    Skip,
    Stray,
    Unsent,
    code_of,
    reason_of,
    word_of,
)
from towerops_agent.snmp.wire.message import ErrorStatus

ALL = list(chain(Reason, Discard, Skip, Loss, Unsent, Stray))

OF_ANOTHER_MEANING = {
    ("api/client.py", "timeout"),  # httpcore2's name of what it is given
    ("buffer/database.py", "refused"),  # a table's name
    ("buffer/ids.py", "refused"),
    ("buffer/remains.py", "refused"),
    ("buffer/salvage.py", "refused"),
    ("discovery/course/ports.py", "null"),  # how an interface's name begins
    ("discovery/report/credentials.py", "auth"),  # a key of a site file
    ("delivery/courier.py", "delivered"),  # what came of a batch
    ("delivery/refused.py", "refused"),
    ("destinations/courier.py", "delivered"),
    ("destinations/losses.py", "refused"),
    ("site/document/credentials.py", "auth"),  # a key of a site file
    ("site/document/nodes.py", "null"),  # YAML's
    ("telemetry/exposition.py", "delivered"),
    ("telemetry/exposition.py", "refused"),
    *(("snmptool/views/as_json.py", word) for word in ("noSuchObject", "noSuchInstance", "endOfMibView")),  # a varbind's type
    ("snmptool/views/as_json.py", "unreadable"),
    ("site/document/credentials.py", "auth"),  # a key of a site file
    ("site/document/nodes.py", "null"),  # YAML's
}
"""Texts that are a reason's word by chance, by module."""


def test_codes_on_disk_are_these_for_good():
    """A database that an earlier version wrote says the same to this one: append to this list, and change nothing in it."""
    assert list(enumerate(STATE_WORDS)) == [
        (0, ""),
        (1, "other"),
        (2, "timeout"),
        (3, "unreachable"),
        (4, "unresolved"),
        (5, "refused"),
        (6, "auth"),
        (7, "deadline"),
        (8, "omitted"),
        (9, "unreadable"),
        (10, "tooBig"),
        (11, "genErr"),
        (12, "noAccess"),
        (13, "authorizationError"),
        (14, "resourceUnavailable"),
        (15, "unverified"),
        (16, "interface_away"),
        (17, "negative_counter"),
        (18, "not_finite"),
        (19, "out_of_range"),
        (20, "not_in_time_window"),
        (21, "unknown_engine_id"),
        (22, "interface_ambiguous"),
        (23, "unknown_context"),
        (24, "ping_only"),
    ]


@pytest.mark.parametrize("word", STATE_WORDS)
def test_a_word_is_read_back_from_its_code(word):
    assert word_of(code_of(word)) == word


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_code_or_is_of_a_kind_that_needs_none(reason):
    """Wrong credentials are `auth` on disk; a device that only lacks what it never had is up."""
    assert (code_of(reason) != code_of(Reason.OTHER)) == (reason not in ABSENT and reason is not Reason.OTHER)
    assert (word_of(code_of(reason)) == Reason.AUTH) == (reason in CREDENTIALS or reason is Reason.AUTH)


@pytest.mark.parametrize("code", [-1, len(STATE_WORDS), None, 2.0])
def test_a_code_of_a_later_version_is_another_reason(code):
    assert word_of(code) == "other"


def test_an_error_that_has_no_reason_is_stored_as_another():
    assert reason_of("badValue") is None
    assert word_of(code_of("badValue")) == word_of(code_of("error-42")) == "other"


@pytest.mark.parametrize("reason", ALL, ids=lambda reason: f"{type(reason).__name__}.{reason.name}")
def test_each_reason_says_what_happened_and_where_to_look(reason):
    assert reason == str(reason) == reason.value
    assert f"{reason}" == reason.value
    assert isinstance(reason.fault, Fault)
    assert reason.text
    for text in (reason.text, reason.hint):
        assert text == text.strip()
        assert not text.endswith(".")


def test_errors_of_the_protocol_have_the_name_that_the_rfc_gives_them():
    named = {status.name for status in ErrorStatus} & set(Reason)
    assert named == {"tooBig", "noSuchName", "genErr", "noAccess", "authorizationError", "resourceUnavailable"}


def test_the_groups_hold_what_they_say():
    assert Reason.NOTHING_THERE in ABSENT, "the only one of them that is not a matter of the configuration"
    of_the_configuration = (ABSENT | HIDDEN | CREDENTIALS) - {Reason.NOTHING_THERE}
    assert {reason.fault for reason in of_the_configuration} == {Fault.CONFIGURATION}
    assert ABSENT.isdisjoint(CREDENTIALS)
    assert sorted(DROPPED + EVICTED) == sorted(Loss)


def bare_words() -> set[tuple[str, str]]:
    """The places at which a text of the source is a reason's word, docstrings left out: (module, word)."""
    words = {str(reason) for reason in ALL}
    return {
        (module, text)
        for module, tree in modules().items()
        if module != "reasons.py"
        for node in ast.walk(tree)
        for text in texts(node)
        if text in words
    }


def texts(node: ast.AST) -> list[str]:
    """A text, or the keyword of an argument, as in Counter(timeout=3)."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Call(func=ast.Name(id="Counter" | "dict")):
            return [keyword.arg for keyword in node.keywords if keyword.arg]
        case _:
            return []


def test_no_reason_is_a_bare_text_in_the_source():
    assert bare_words() - OF_ANOTHER_MEANING == set()


def test_each_exception_to_that_is_needed():
    assert OF_ANOTHER_MEANING - bare_words() == set()


def test_no_hint_sends_the_operator_of_site_files_to_towerops():
    """There the configuration is a file, and nothing can be corrected in Towerops."""
    assert [reason for reason in ALL if "Towerops" in getattr(reason, "hint", "")] == []
