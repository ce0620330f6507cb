"""The agent as a process: real receivers have what the devices answered, each value once, and nothing else."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support import influxdb, prometheus
from support.agent import UNHURRIED, running
from support.answered import UNDER_WAY, UPTIME, Account, Answer, Series, Witness, account, answering, series_of, site_of
from support.site import site_environment
from towerops_agent.snmp.wire.ber import parse_oid

VALUES = '{__name__=~"snmp_(sensor|interface_.*)"}'
COUNTER_FIELDS = ("in_octets", "out_octets", "in_errors", "out_errors", "in_discards", "out_discards")
COMMIT_S = 1
MOST_KILLED = 4
"""Polls of a device, one a second: one under way, one each second of COMMIT_S, and the rest for a loaded machine."""


def at_prometheus(receiver: prometheus.Prometheus) -> dict[Series, list[tuple[int, float]]]:
    found: dict[Series, list[tuple[int, float]]] = {}
    for labels, samples in receiver.samples(VALUES, time.time() + 60, 3600).items():
        name = dict(labels)["__name__"]
        found.setdefault(series_of(name, dict(labels)), []).extend(samples)
    return found


def at_influxdb(receiver: influxdb.InfluxDB) -> dict[Series, list[tuple[int, float]]]:
    found: dict[Series, list[tuple[int, float]]] = {}
    fields = {"snmp_sensor": ("sensor", "value")}
    fields |= {f"snmp_interface_{field}_total": ("interface", field) for field in COUNTER_FIELDS}
    for name, (measurement, field) in fields.items():
        for tags, samples in receiver.points(measurement, field).items():
            found[series_of(name, dict(tags))] = [(at_ns // 1_000_000, float(value)) for at_ns, value in samples]
    return found


async def until(condition: Callable[[], object]) -> None:
    while not await asyncio.to_thread(condition):
        await asyncio.to_thread(time.sleep, 0.1)


def write(path: Path, text: str) -> Mapping[str, str]:
    path.write_text(text)
    return site_environment(path, path.with_name("agent.db"), BUFFER_COMMIT_SECONDS=str(COMMIT_S))


def show(result: Account) -> None:
    """In the log of a run by hand: pytest --log-cli-level=INFO."""
    logging.getLogger(__name__).info("%s", result)


async def test_each_answered_value_is_at_each_receiver_once_and_at_the_time_of_its_answer(tmp_path: Path):
    with prometheus.running(tmp_path / "prometheus") as one, influxdb.running(tmp_path / "influxdb") as other:
        async with answering(2) as devices:
            first, second = (
                f"{{remote_write: {one.write_url}}}",
                f"{{influxdb: {other.url}, database: {influxdb.DATABASE}, name: i}}",
            )
            env = write(tmp_path / "site.yaml", site_of(devices, f"{first}, {second}"))
            async with running(env=env) as agent:
                await until(lambda: all(len(witness.answers) > 60 for witness, _ in devices))
                assert await agent.stop() == 0
            witnesses = [witness for witness, _ in devices]
            accounts = [account(witnesses, there) for there in (at_prometheus(one), at_influxdb(other))]
    for result in accounts:
        assert result.wrong == [], agent.log
        assert result.delivered + result.repeated + result.unfinished == result.answered
        show(result)


def witnessed(*answers: tuple[int, dict[str, int]]) -> Witness:
    """A device that answered so at these milliseconds, by two requests a poll. Others follow each, for nothing of interest."""
    witness = Witness(0)
    for place, (at_ms, values) in enumerate(answers):
        asked = (UPTIME,) if place % 2 == 0 else (parse_oid("1.3"),)
        witness.answers.append(Answer(at_ms * 1000 - 300, asked, values, at_ms * 1000))
        for n in range(UNDER_WAY):  # one a millisecond
            witness.answers.append(
                Answer(at_ms * 1000 + 1000 * n + 500, (parse_oid(f"1.3.{n}"),), {}, at_ms * 1000 + 1000 * n + 600)
            )
    return witness


POLLS = [(1000, {"1.1": 1}), (1010, {"1.2": 2}), (2000, {"1.1": 3}), (2010, {"1.2": 4}), (3000, {"1.1": 5}), (3010, {"1.2": 6})]
WHOLE = {(0, "1.1"): [(1000, 1.0), (2000, 3.0), (3000, 5.0)], (0, "1.2"): [(1010, 2.0), (2010, 4.0), (3010, 6.0)]}
ONE_POLL = {series: samples[:1] for series, samples in WHOLE.items()}
TWO_POLLS = {series: samples[:2] for series, samples in WHOLE.items()}


@pytest.mark.parametrize(
    ("there", "kills_us", "wrong", "killed"),
    [
        (WHOLE, [], "", 0),
        (TWO_POLLS, [3_020_000], "", 2),
        ({series: samples[1:] for series, samples in WHOLE.items()}, [1_020_000], "", 2),
        (ONE_POLL, [], "2 of 2 values are missing", 0),
        (TWO_POLLS, [], "", 0),
        (ONE_POLL, [1_500_000], "2 of 2 values are missing", 0),
        ({series: samples[1:] for series, samples in WHOLE.items()}, [3_020_000], "a poll before them in the same run is", 2),
        (WHOLE | {(0, "1.2"): WHOLE[0, "1.2"][:2]}, [3_020_000], "1 of 2 values are missing", 0),
        (WHOLE | {(0, "1.1"): [*WHOLE[0, "1.1"], (3000, 5.0)]}, [], "5 is there 2 times", 0),
        (WHOLE | {(0, "1.1"): [*WHOLE[0, "1.1"], (3001, 7.0)]}, [], "7 was never answered", 0),
        (WHOLE | {(0, "1.1"): [(999, 1.0), *WHOLE[0, "1.1"][1:]]}, [], "1 is dated 999", 0),
        (WHOLE | {(0, "1.1"): [(1004, 1.0), *WHOLE[0, "1.1"][1:]]}, [], "1 is dated 1004", 0),
        (WHOLE | {(0, "1.2"): [(1014, 2.0), *WHOLE[0, "1.2"][1:]]}, [], "2 is dated 1014", 0),
    ],
)
def test_the_account_sees_what_is_missing_made_up_double_or_wrongly_dated(there, kills_us, wrong, killed):
    result = account([witnessed(*POLLS)], there, kills_us)
    assert bool(result.wrong) == bool(wrong)
    assert wrong in "; ".join(result.wrong)
    assert result.killed == killed


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_however_often_the_agent_is_killed_only_what_was_not_stored_yet_is_missing(tmp_path: Path, kills: int):
    """At random moments: what is missing is the end of a run, polls as a whole, of no more than BUFFER_COMMIT_SECONDS."""
    kills_us = []
    with prometheus.running(tmp_path / "prometheus") as receiver:
        async with answering(3) as devices:
            env = write(tmp_path / "site.yaml", site_of(devices, f"{{remote_write: {receiver.write_url}, name: p}}"))
            for _ in range(kills):
                async with running(env=env) as agent:
                    await agent.logged("configuration applied")
                    await asyncio.sleep(random.uniform(0.0, 5.0))
                kills_us.append(time.time_ns() // 1000)  # after it: until then it may have asked
            async with running(env=env, code=UNHURRIED) as agent:
                await agent.logged("configuration applied")
                await until(lambda: at_prometheus(receiver))
                assert await agent.stop() == 0
                assert "pending_kept=0" in agent.log
            result = account([witness for witness, _ in devices], at_prometheus(receiver), kills_us)
    assert result.wrong == []
    assert result.delivered + result.repeated + result.unfinished + result.killed == result.answered
    assert result.most_killed <= MOST_KILLED
    show(result)
