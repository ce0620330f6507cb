"""The alerts in docs/operations.md, by Prometheus' own promtool: each is valid, fires at its trouble, and is silent otherwise."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from support.markdown import ROOT, rows
from support.prometheus import require_prometheus

ALERTS = [
    cells[0].strip("`") for cells in rows((ROOT / "docs" / "operations.md").read_text()) if re.search(r" (==|>|<) \d", cells[0])
]
SERIES = {
    "up": ("", "1x90", "0x90"),
    "towerops_agent_api_reachable": ('dealing="metrics"', "1x90", "0x90"),
    "towerops_agent_buffer_in_memory": ("", "0x90", "1x90"),
    "towerops_agent_loop_overdue_seconds": ('loop="config"', "0x90", "61x90"),
    "towerops_agent_pending_oldest_age_seconds": ("", "40x90", "601x90"),
    "towerops_agent_destination_pending_oldest_age_seconds": ('destination="tsdb"', "40x90", "601x90"),
    "towerops_agent_certificate_expiry_timestamp_seconds": ('certificate="API"', "2000000x90", f"{13 * 86_400}x90"),
    "towerops_agent_clock_ahead_seconds": ("", "-1x90", "-31x90"),
    "towerops_agent_metrics_expired_total": ('destination=""', "5x90", "5+1x90"),
    "towerops_agent_metrics_evicted_total": ('reason="disk_low"', "5x90", "5+1x90"),
    "towerops_agent_metrics_refused_total": ('destination=""', "5x90", "5+1x90"),
    "towerops_agent_metrics_dropped_total": ('reason="corrupt"', "5x90", "5+1x90"),
    "towerops_agent_polls_skipped_total": ('reason="late"', "5x90", "5+1x90"),
    "towerops_agent_bugs_total": ('place="poll"', "5x90", "5+1x90"),
}
"""Of each metric its further labels, its values each minute of 90 if nothing is wrong, and if something is."""


def failures(folder: Path, trouble: str, firing: list[str]) -> str:
    """What promtool finds wrong if only these alerts are to fire after 80 minutes, when this metric says so."""
    tool = Path(require_prometheus()).with_name("promtool")
    if not tool.exists():
        pytest.skip("promtool is not found: install Debian's package prometheus")
    rules = {"groups": [{"name": "docs", "rules": [{"alert": f"A{n}", "expr": one} for n, one in enumerate(ALERTS)]}]}
    series = [
        {"series": f'{name}{{instance="tower"{"," if labels else ""}{labels}}}', "values": bad if name == trouble else good}
        for name, (labels, good, bad) in SERIES.items()
    ]
    wanted = [
        {
            "expr": f'count(ALERTS{{alertname="A{n}"}}) or vector(0)',
            "eval_time": "80m",
            "exp_samples": [{"labels": "{}", "value": int(one in firing)}],
        }
        for n, one in enumerate(ALERTS)
    ]
    tests = {"rule_files": ["rules.yml"], "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": wanted}]}
    (folder / "rules.yml").write_text(json.dumps(rules))
    (folder / "tests.yml").write_text(json.dumps(tests))
    done = subprocess.run([str(tool), "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_none_fires_without_a_trouble(tmp_path):
    assert failures(tmp_path, "", []) == ""


@pytest.mark.parametrize("metric", SERIES)
def test_each_fires_at_its_trouble_and_no_other(tmp_path, metric):
    firing = [one for one in ALERTS if re.search(rf"\b{metric}\b", one)]
    assert len(firing) == 1
    assert failures(tmp_path, metric, firing) == ""


def test_each_has_its_trouble_here():
    assert [one for one in ALERTS if not any(re.search(rf"\b{name}\b", one) for name in SERIES)] == []
