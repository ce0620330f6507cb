"""A secret is found however a server has written it, and nothing else is hidden."""

import base64
import html
import itertools
import json
import tracemalloc
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.masking import masked

TOKEN = 'a/b+c="d" e\\f&<g>é—🗼'
GO = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}
SPELLINGS = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON with all slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON of UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON within JSON": lambda text: json.dumps(json.dumps(text)[1:-1]),
    "each character escaped": lambda text: "".join(f"\\u{ord(c):04X}" if ord(c) < 0x10000 else c for c in text),
    "percent": lambda text: quote(text, safe=""),
    "percent, in small letters": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "a form": quote_plus,
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "HTML": html.escape,
    "HTML with all names": lambda text: "".join(f"&{codepoint2name[ord(c)]};" if ord(c) in codepoint2name else c for c in text),
    "HTML by numbers": lambda text: "".join(f"&#{ord(c)};" if ord(c) % 2 else f"&#x{ord(c):X};" for c in text),
    "JSON as Go writes it": lambda text: json.dumps(text, ensure_ascii=False).translate(GO),
    "a header, read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "octets, as Python shows them": lambda text: repr(text.encode())[1:],
    "repr": repr,
    "ascii": ascii,
}
IN_BASE64 = {
    "by itself": lambda text: base64.b64encode(text.encode()).decode(),
    "for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "behind a name": lambda text: base64.b64encode(b"n:" + text.encode()).decode(),
    "between others": lambda text: base64.b64encode(b"user:" + text.encode() + b":more").decode(),
}
SECRETS = st.one_of(st.just(TOKEN), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=6))


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@given(secret=SECRETS)
def test_a_secret_is_masked_however_it_is_written(spelling, secret):
    """Nothing of it is left, and all that is around it."""
    sent = spelling(secret)
    quoted = len(sent) > 1 and sent[0] == sent[-1] and sent[0] in "\"'" and spelling in QUOTING
    left = f"{sent[0]}***{sent[0]}" if quoted else "***"
    assert masked(f"refused: ‖{sent}‖ ok", [secret]) == f"refused: ‖{left}‖ ok"


@pytest.mark.parametrize(("first", "then"), [*itertools.product(SPELLINGS, SPELLINGS)])
def test_a_secret_is_masked_in_one_spelling_of_another(first, then):
    """A proxy's page that shows an answer in JSON, a URL with a page in it."""
    sent = SPELLINGS[then](SPELLINGS[first](TOKEN))
    assert not set(masked(f"refused: ‖{sent}‖ ok", [TOKEN]).partition("‖")[2]) & set("bdfg")


@pytest.mark.parametrize("end", ["\n", "\r\n", "  \n\t", "\\\n", "\\n", "\\r\\n"])
@pytest.mark.parametrize("spelling", [str, json.dumps, lambda text: base64.b64encode(text.encode()).decode()])
@given(at=st.integers(2, len(TOKEN) - 1))
def test_a_secret_is_masked_if_a_line_ends_within_it(spelling, end, at):
    """As base64 by MIME, which ends one after 76 characters."""
    sent = spelling(TOKEN.replace(" ", ""))
    at = min(at, len(sent) - 2)
    while "\\" in sent[at - 5 : at]:  # within an escape no line ends
        at -= 1
    assert len(masked(f"‖{sent[:at]}{end}{sent[at:]}‖", [TOKEN.replace(" ", "")])) <= len('‖"***="‖')


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_masked_within_what_is_base64_however_that_is_written(spelling):
    secret = "s>>??>>??>>??>>??cret"
    sent = spelling(base64.b64encode(b"user:" + secret.encode()).decode())
    assert "/" in base64.b64encode(b"user:" + secret.encode()).decode()
    assert masked(sent, [secret]).strip("\"'") == spelling("dXNlcj").strip("\"'") + "***", "but for what is the user's"


QUOTING = {json.dumps, repr, ascii, *(SPELLINGS[name] for name in SPELLINGS if name.startswith(("JSON", "octets")))}


@pytest.mark.parametrize("spelling", IN_BASE64.values(), ids=IN_BASE64)
@given(secret=SECRETS)
def test_a_secret_is_masked_within_what_is_base64(spelling, secret):
    """But for what is around it there."""
    beside, _, behind = masked(f"‖{spelling(secret)}‖", [secret]).strip("‖").partition("***")
    assert len(beside) <= 6
    assert len(behind) <= 9


BESIDE = st.lists(st.sampled_from(["%20", "\\n", '\\"', "&amp;", "&#39;", "\n  ", "+", "Ã©", "\\u00e9", "%25", "a", " "])).map(
    "".join
)


@given(before=BESIDE, after=BESIDE, first=st.sampled_from([*SPELLINGS.values()]), then=st.sampled_from([*SPELLINGS.values()]))
def test_what_is_beside_a_secret_stays_however_that_is_written(before, after, first, then):
    sent = first(TOKEN).strip("\"'"), then("0123456789").strip("\"'")
    text = f"{before}‖{sent[0]}‖{after}‖{sent[1]}‖{before}"
    assert masked(text, [TOKEN, "0123456789"]) == f"{before}‖***‖{after}‖***‖{before}"


def test_a_short_secret_with_a_plus_hides_no_words():
    assert masked("a bad one, a+b, a%2Bb", ["a+b", "+"]) == "a bad one, ***, ***"
    assert masked("my+pass+word in a form, my pass word decoded", ["my+pass+word", "my pass"]) == "*** in a form, *** decoded"


@given(
    text=st.text(st.characters(max_codepoint=0x7F), max_size=60),
    secret=st.text(st.sampled_from("xyz0"), min_size=6, max_size=9),
)
def test_what_is_not_the_secret_stays(text, secret):
    if not set("xyz0XYZ0") & set(text):
        assert masked(text, [secret]) == text


def test_no_end_of_a_longer_secret_is_left_by_a_shorter_one_and_a_short_one_hides_no_base64():
    assert masked("abcdefgh", ["abcdef", "abcdefgh", ""]) == "***"
    assert masked("abc YWJj", ["abc"]) == "*** YWJj"


@pytest.mark.parametrize(
    "text",
    ["\\" * 200_000, "%" * 200_000, "%25" * 70_000, "&amp;" * 40_000, "&#" + "0" * 200_000, " " * 200_000, "\\\n" * 100_000],
)
def test_no_text_takes_long_to_be_searched(text):
    """What could begin an escape, many times: a search that tried each length would take hours, and the suite's limit ends it."""
    assert masked(text, ["\\\\\\%%%&&&" + TOKEN]) == text


def test_long_tokens_take_little_memory_unless_one_is_there():
    """A token that an identity provider issues has a thousand characters, and is another one each hour."""
    tokens = [f"eyJhbGciOiJSUzI1NiJ9{n}" + "".join(chr(97 + (i * i + n) % 26) for i in range(1000)) for n in range(5)]
    tracemalloc.start()
    try:
        for token in tokens:
            assert masked("5 % of it\n", [token]) == "5 % of it\n"
        octets, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert octets < 1 << 20
    assert masked(f"5 %, {tokens[0]}, {quote('%' + tokens[1])}", tokens) == "5 %, ***, %25***"
