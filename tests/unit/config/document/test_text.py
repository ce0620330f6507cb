"""The text of a configuration, cut as it arrives: which pieces come when, and what is said of a text that is not one."""

import re

import msgspec
import pytest

from towerops_agent.config.document import text as module
from towerops_agent.config.document.text import (
    ConfigIntake,
    ConfigText,
    JsonCutter,
    config_text,
    decode_config,
    encode_config,
    encoded,
)
from towerops_agent.errors import InvalidConfig

WHOLE = b' {"version" : "7", "equipment": [ {"id": 1}, [2, "]"], 3 , "x"], "accepts": {"a": [1, 2]} } '
PIECES = [
    ("version", b'"7"'),
    (None, b'{"id": 1}'),
    (None, b'[2, "]"]'),
    (None, b"3"),
    (None, b'"x"'),
    ("accepts", b'{"a": [1, 2]}'),
]


def cut(*chunks):
    """The pieces that come with each chunk, and at the end."""
    cutter = JsonCutter("equipment")
    return [*(list(cutter.feed(chunk)) for chunk in chunks), list(cutter.close())]


@pytest.mark.parametrize("at", range(len(WHOLE) + 1))
def test_the_pieces_are_the_same_wherever_the_chunks_end(at):
    assert [piece for pieces in cut(WHOLE[:at], WHOLE[at:]) for piece in pieces] == PIECES


def test_a_piece_comes_with_the_chunk_that_completes_it():
    assert cut(b'{"equipment":[{"a":1},{"b', b'":2},', b"3", b"4]}") == [
        [(None, b'{"a":1}')],
        [(None, b'{"b":2}')],
        [],
        [(None, b"34")],
        [],
    ]


def test_a_list_is_cut_only_at_the_top_and_only_under_its_name():
    assert cut(b'{"other":[1],"equipment":{"equipment":[1]}}')[0] == [("other", b"[1]"), ("equipment", b'{"equipment":[1]}')]
    assert cut(b'{"equipment":[]}')[0] == []
    assert cut(b"{}") == [[], []]


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"[]", 0), (b"x", 0), (b'{"a":1}x', 7), (b'{"a":1} {', 8), (b'{"a" 1}', 5), (b'{"a":}', 5), (b'{"a":1,}', 7),
        (b"{,}", 1), (b'{"a":1 "b":2}', 7), (b'{"equipment":[1 2]}', 16), (b'{"equipment":[,]}', 14), (b'{"equipment":[1,]}', 16),
        (b'{"a":[1}]}', 5), (b'{"a":tru }', 5), (b'{"a":{"b"}}', 5), (b"{1:2}", 1), (b'{"a"::1}', 5), (b'{"a\x00":1}', 1),
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused_with_its_place_however_it_arrives(text, offset):
    for chunks in ((text,), [text[i : i + 1] for i in range(len(text))]):
        with pytest.raises(InvalidConfig, match=f"^the configuration can't be used: malformed JSON at octet {offset}$"):
            cut(*chunks)


@pytest.mark.parametrize(("text", "octets"), [(b"", 0), (b'{"a":1', 5), (b'{"a":"x', 5), (b'{"equipment":[1,2', 16), (b'{"a', 1)])
def test_a_text_that_ends_too_early_is_refused_with_how_much_of_it_was_used(text, octets):
    with pytest.raises(InvalidConfig, match=f"its JSON ends too early, after {octets} octets$"):
        cut(text)


def test_a_piece_has_a_bound(monkeypatch):
    monkeypatch.setattr(module, "MOST_PIECE_OCTETS", 1 << 20)
    longest = b'{"equipment":["' + b"x" * ((1 << 20) - 1)
    assert cut(longest, b'"]}')[-1] == [(None, b'"' + b"x" * ((1 << 20) - 1) + b'"')]
    with pytest.raises(InvalidConfig, match="one item has more than 1 MiB"):
        cut(longest + b"xx", b'"]}')


def test_brackets_and_escapes_in_texts_end_nothing():
    for piece in (b'{"a":"}"}', b'{"a":"\\"}"}', b'["]]","[",[[]],{}]', b'{"a":"\\\\"}', b'"\\\\"', b'"]}\\""'):
        assert cut(b'{"equipment":[' + piece + b",0]}")[0] == [(None, piece), (None, b"0")]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"\ud83d"', "\ufffd"), (rb'"\ud83d\ude00"', "😀"), (rb'"\ude00\ud83d"', "\ufffd\ufffd"), (rb'"\\ud83d"', "\\ud83d"),
        (rb'"a\uD83Dz\u0041"', "a\ufffdzA"), (rb'"\udbff\udfff"', "\U0010ffff"),
    ],
)  # fmt: skip
def test_half_of_a_surrogate_pair_is_a_replacement_character(written, read):
    (piece,), _ = cut(b'{"equipment":[' + written + b"]}")
    assert msgspec.json.decode(piece[1]) == read


def test_a_name_that_is_not_text_is_that_of_no_member():
    assert cut(b'{"\xff":1}')[0] == [("\ufffd", b"1")]


def test_what_is_nested_too_deep_to_be_checked_is_left_to_the_reader():
    deep = b"[" * 100_000 + b"]" * 100_000
    assert cut(b'{"equipment":[' + deep + b"]}")[0] == [(None, deep)]


def test_only_the_members_of_a_configuration_are_kept_and_its_devices_in_order():
    text = config_text(
        b'{"notes":"x","version":"7","equipment":[{"id":"a"},{"id":"b"}],"accepts":null,"poll_interval_seconds":9}'
    )
    assert text.members == {"version": b'"7"', "accepts": b"null", "poll_interval_seconds": b"9"}
    assert list(text.items()) == list(text.items()) == [b'{"id":"a"}', b'{"id":"b"}']
    assert len(text.digest) == 16
    assert text.digest != config_text(b'{"version":"7"}').digest
    assert list(config_text(b'{"equipment":null}').items()) == []


@pytest.mark.parametrize("octets", [b'{"equipment":{}}', b'{"equipment":7}', b'{"equipment":"null"}'])
def test_equipment_that_is_not_a_list_is_refused(octets):
    with pytest.raises(InvalidConfig, match=r"^the configuration can't be used: equipment is not a list$"):
        config_text(octets)


@pytest.mark.parametrize("octets", [b'{"status": "error"}', b'{"equipment": [], "version": "1", "status": "ERROR"}'])
def test_a_word_that_the_server_failed_is_not_a_configuration_without_devices(octets):
    with pytest.raises(InvalidConfig, match=r"^the configuration can.t be used: it has no equipment, and .* an error$"):
        config_text(octets)


@pytest.mark.parametrize("status", [b'"ok"', b"null", b"5", b'{"status": "error"}', b'"error", "equipment": [1]'])
def test_any_other_status_is_ignored_as_all_that_is_not_known(status):
    assert config_text(b'{"status": %s}' % status).members == {}


def test_an_intake_refuses_as_soon_as_it_can():
    intake = ConfigIntake()
    intake.write(b'{"version":"7",')
    with pytest.raises(InvalidConfig, match="octet 15"):
        intake.write(b"7")
    with pytest.raises(InvalidConfig, match="too early"):
        ConfigIntake().finish()


def test_it_is_kept_as_octets_and_shows_no_credentials():
    text = config_text(b'{"version":"7","equipment":[{"snmp":{"community":"hush-hush"}}]}')
    assert decode_config(encode_config(text)) == text
    assert re.fullmatch(r"ConfigText\([0-9a-f]{32}\)", repr(text))
    with pytest.raises(msgspec.MsgspecError):
        decode_config(b"\x01")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_a_configuration_is_the_same_again_as_octets_of_this_version_and_of_the_one_before(size):
    text = ConfigText(
        bytes(range(16)), {"version": b'"7"', "accepts": b"{}"}, bytes(range(250)) * (size // 250) + bytes(size % 250)
    )
    assert decode_config(encode_config(text)) == text
    assert decode_config(msgspec.msgpack.encode(text)) == text
    assert max(map(len, encoded(text))) <= 65_536
