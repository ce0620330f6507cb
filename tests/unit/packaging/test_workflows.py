"""The workflows run what any machine can run, on each Python that the package names. They name no registry."""

import re

import pytest
import yaml

from support.markdown import ROOT, read

GITHUB = yaml.safe_load(read(".github/workflows/ci.yml"))
GITLAB = yaml.safe_load(read(".gitlab-ci.yml"))
FILES = (".github/workflows/ci.yml", ".gitlab-ci.yml")
PYTHONS = re.findall(r"Programming Language :: Python :: (3\.\d+)", read("pyproject.toml"))


def test_the_suite_runs_on_each_python_that_the_package_names():
    assert GITHUB["jobs"]["suite"]["strategy"]["matrix"]["python"] == PYTHONS
    assert GITLAB["suite"]["parallel"]["matrix"][0]["PYTHON_VERSION"] == PYTHONS
    assert GITLAB["suite"]["script"] == [".ci/run"]
    assert GITHUB["jobs"]["suite"]["steps"][-1]["run"] == ".ci/run"


@pytest.mark.parametrize("path", FILES)
def test_each_script_of_the_project_that_is_run_is_there(path):
    scripts = set(re.findall(r"(?:\.ci|packaging|tools)/[a-z][\w-]*(?:\.\w+)?", read(path)))
    assert scripts
    assert [script for script in scripts if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("path", FILES)
def test_no_registry_is_named(path):
    assert re.findall(r"\b(?:[\w-]+\.)+(?:io|org|com|net|dev)\b", read(path)) == []


def test_each_action_is_pinned_by_its_commit():
    steps = [step for job in GITHUB["jobs"].values() for step in job["steps"] if "uses" in step]
    assert steps
    assert [step["uses"] for step in steps if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])] == []


def test_only_a_tag_publishes():
    assert GITHUB["jobs"]["publish"]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    published = [job for job in GITLAB.values() if isinstance(job, dict) and job.get("stage") == "publish"]
    assert len(published) == 2
    assert all("$CI_COMMIT_TAG =~ /^v/" in job["rules"][0]["if"] for job in published)
