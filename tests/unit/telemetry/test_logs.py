"""Each event becomes one line, readable by machines, without secrets."""

import asyncio
import io
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.model import Secret
from towerops_agent.setting import LOG_FORMATS, LOG_LEVELS
from towerops_agent.telemetry import logs

NOON = datetime(2026, 1, 9, 12, 0, 0, 123_456, tzinfo=UTC)
START = "time=2026-01-09T12:00:00.123Z level=info msg="


@pytest.fixture(autouse=True)
def _as_before():
    """Logging is the process's: each test leaves it as it was, with nothing hidden."""
    logs.unhide()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logs.unhide()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def log(stream):
    logs.configure("debug", "logfmt", stream, now=lambda: NOON)
    return structlog.get_logger()


@pytest.fixture
def json_log(stream):
    logs.configure("debug", "json", stream, now=lambda: NOON)
    return structlog.get_logger()


def test_a_logfmt_line_is_time_level_message_and_the_fields_in_their_order(log, stream):
    log.warning("batch refused, will retry", batch="41-57", metrics=1000, retry_in_s=8.0, attempt=3)
    assert stream.getvalue() == (
        'time=2026-01-09T12:00:00.123Z level=warning msg="batch refused, will retry" '
        "batch=41-57 metrics=1000 retry_in_s=8.0 attempt=3\n"
    )


def test_a_json_line_is_one_object_in_the_same_order(json_log, stream):
    json_log.info("started", version="0.1.0", devices=3, sealed=True, host=None)
    assert stream.getvalue() == (
        '{"time": "2026-01-09T12:00:00.123Z", "level": "info", "msg": "started", '
        '"version": "0.1.0", "devices": 3, "sealed": true, "host": null}\n'
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('"', '"\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("line\nfeed\r", '"line\\nfeed\\r"'),
        ("\x1b[31mred\x7f", '"\\u001b[31mred\\u007f"'),
        ("a\u2028b", '"a\\u2028b"'),
        ("\udcff", '"\\udcff"'),
        ("Zürich", "Zürich"),
        (["a", 1], '"[\\"a\\", 1]"'),
        (Path("/data/x.db"), "/data/x.db"),
    ],
)
def test_a_logfmt_value_is_bare_where_clear_else_quoted(log, stream, value, shown):
    log.info("m", field=value)
    assert stream.getvalue() == f"{START}m field={shown}\n"


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_a_device_s_name_of_a_megabyte_is_logged_without_its_middle(stream, log_format):
    logs.configure("debug", log_format, stream, now=lambda: NOON)
    structlog.get_logger().info("device answers in part", device="north " + 1_000_000 * "x" + " south", address="192.0.2.1:161")
    line = stream.getvalue()
    assert len(line) < 2_200
    assert "north xxx" in line
    assert "xxx south" in line
    assert "998012 characters" in line
    assert "192.0.2.1:161" in line


def test_a_name_that_would_break_logfmt_is_fixed(log, stream):
    log.info("m", **{"a b=": 1})
    assert stream.getvalue() == f"{START}m a_b_=1\n"


def test_a_field_never_passes_for_time_level_or_message(log, stream):
    log.info("m", msg="forged", level="error", time=0)
    assert stream.getvalue() == f"{START}m msg_=forged level_=error time_=0\n"


@given(
    text=st.text(),
    value=st.one_of(st.text(), st.lists(st.text()), st.floats(), st.none(), st.dictionaries(st.text(), st.floats())),
)
@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_whatever_is_logged_one_event_is_one_line(log_format, text, value):
    stream = io.StringIO()
    logs.configure("info", log_format, stream, now=lambda: NOON)
    structlog.get_logger().info(text, field=value)
    line = stream.getvalue()
    assert line.splitlines() == [line[:-1]]
    if log_format == "json":
        assert json.loads(line, parse_constant=pytest.fail)["msg"] == text


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_only_lines_from_the_level_up_are_written(stream, level):
    logs.configure(level, "logfmt", stream)
    for each in LOG_LEVELS:
        structlog.get_logger().log(logging.getLevelNamesMapping()[each.upper()], each)
    assert stream.getvalue().count("\n") == len(LOG_LEVELS) - LOG_LEVELS.index(level)
    assert f"msg={level}\n" in stream.getvalue()


def test_time_is_utc_whatever_the_clock_s_zone(stream):
    logs.configure("info", "logfmt", stream, now=lambda: datetime.fromisoformat("2026-01-09T14:00:00+02:00"))
    structlog.get_logger().info("m")
    assert stream.getvalue() == "time=2026-01-09T12:00:00.000Z level=info msg=m\n"


def test_an_exception_is_its_traceback_in_one_field_without_locals(json_log, stream):
    def fail():
        community = "never-shown"
        raise RuntimeError("broken" if community else "")

    try:
        fail()
    except RuntimeError:
        json_log.exception("bug", where="poller")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["msg"], line["where"]) == ("error", "bug", "poller")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("RuntimeError: broken")
    assert "'never-shown'" not in line["exception"]


def test_an_exception_is_escaped_on_one_line_in_logfmt(log, stream):
    log.error("failed", exc_info=ValueError("why"))
    assert stream.getvalue() == ('time=2026-01-09T12:00:00.123Z level=error msg=failed exception="ValueError: why"\n')
    try:
        raise ExceptionGroup("several", [ValueError("one"), ValueError("two")])
    except ExceptionGroup:
        log.exception("failed")
    assert stream.getvalue().count("\n") == 2
    assert "ValueError: two" in stream.getvalue()


def test_no_exception_no_field(log, stream):
    log.info("m", exc_info=True)  # noqa: LOG014 - just that
    assert stream.getvalue() == f"{START}m\n"


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_a_secret_shows_itself_nowhere(stream, log_format):
    logs.configure("info", log_format, stream)
    structlog.get_logger().info("m", token=Secret("hunter2"), deep={"a": [Secret("hunter2")]}, both=(Secret("hunter2"),))
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") == 3


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_a_hidden_text_is_replaced_wherever_it_turns_up(stream, log_format):
    secret = "to\"k\\en-of'agent"
    logs.configure("info", log_format, stream, secrets=[Secret(secret)])
    log = structlog.get_logger()
    log.info(secret, field=f"x{secret}y", **{f"n{secret}": 1}, deep=[{"a": secret}, {secret: 1}])
    log.info("bug", exc_info=ValueError(secret))
    log.info("quoted", text=repr(secret))
    logging.getLogger("httpx2").warning("GET %s", secret)
    text = stream.getvalue()
    assert text.count("\n") == 4
    assert all(part not in text for part in (secret, "to\\", "of'agent", "en-of"))


def test_a_secret_that_holds_another_leaves_no_tail(log, stream):
    logs.hide(Secret("secret"))
    logs.hide(Secret("secret-tail"))
    log.info("secret-tail")
    assert stream.getvalue() == f"{START}***\n"


def test_of_tokens_that_replace_each_other_the_latest_are_hidden_and_what_is_hidden_elsewhere_stays(log, stream):
    """So that a token of an hour's life does not make each line cost more for good."""
    hide_next, hide_other = logs.hider(), logs.hider()
    logs.hide(Secret("configured"))
    hide_other(Secret("password"))
    for n in range(1, logs.MOST_OF_ONE_PLACE + 2):
        hide_next(Secret(f"token-{n}"))
        hide_next(Secret("token-1"))  # is in use still: each is read again and again
    log.info("configured password token-1 token-2 token-3 token-%d", logs.MOST_OF_ONE_PLACE + 1)
    assert stream.getvalue() == f'{START}"*** *** *** token-2 *** ***"\n'


def test_short_and_well_known_texts_are_not_hidden(log, stream):
    logs.hide(Secret(""), Secret("level"), Secret("public"), Secret("private"))
    log.info("level public private")
    assert stream.getvalue() == f'{START}"level public private"\n'


def test_the_standard_library_s_lines_take_the_same_way_from_warning_up(log, stream):
    library = logging.getLogger("httpx2")
    library.setLevel(logging.DEBUG)
    library.info("HTTP Request: GET …")
    library.warning("slow: %d s", 3)
    library.setLevel(logging.NOTSET)
    assert stream.getvalue() == 'time=2026-01-09T12:00:00.123Z level=warning msg="slow: 3 s" logger=httpx2\n'


def test_the_standard_library_is_as_quiet_as_the_level_says(stream):
    logs.configure("error", "logfmt", stream)
    logging.getLogger("asyncio").warning("m")
    assert stream.getvalue() == ""


async def test_what_asyncio_reports_has_its_traceback(json_log, stream):
    """A callback that fails is reported by the event loop, on our stream."""
    asyncio.get_running_loop().call_exception_handler({"message": "callback failed", "exception": OSError("why")})
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["msg"]) == ("error", "asyncio", "callback failed")
    assert "OSError: why" in line["exception"]


def test_configuring_again_replaces_the_stream(log, stream):
    other = io.StringIO()
    logs.configure("info", "logfmt", other)
    log.info("m")
    logging.getLogger("x").error("m")
    assert stream.getvalue() == ""
    assert other.getvalue().count("\n") == 2


def test_a_stream_that_is_gone_stops_nobody(log, stream):
    stream.close()
    log.info("m")
    logging.getLogger("x").error("m")


def test_what_the_stream_s_encoding_lacks_is_escaped():
    octets = io.BytesIO()
    logs.configure("info", "logfmt", io.TextIOWrapper(octets, encoding="ascii"), now=lambda: NOON)
    structlog.get_logger().info("m", site="Zürich")
    assert octets.getvalue().decode("ascii") == f"{START}m site=Z\\xfcrich\n"


def test_each_line_is_flushed(tmp_path):
    with (tmp_path / "log").open("w") as file:
        logs.configure("info", "logfmt", file)
        structlog.get_logger().info("m")
        assert (tmp_path / "log").read_text().endswith("msg=m\n")
