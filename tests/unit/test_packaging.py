"""The files under which the agent is deployed name settings, commands, users and versions that there are."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from support.markdown import ROOT, fences, read
from support.skips import NO_SYSTEMD
from towerops_agent import __version__, container
from towerops_agent.cli.main import cli
from towerops_agent.discovery.ledger import ledger_path
from towerops_agent.given import read_settings
from towerops_agent.settings import SETTINGS

DOCKERFILE = read("packaging/Dockerfile")
COMPOSE = read("docker-compose.yml")
KUBERNETES = read("packaging/kubernetes.yaml")
UNIT = read("packaging/towerops-agent.service")
UID = "10001"


def unit_values(name: str) -> list[str]:
    """The unit's values of this name, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def image_variables() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(word.split("=", 1) for line in re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE) for word in line.split())


def commands() -> list[str]:
    return cli.list_commands(click.Context(cli))


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(set(image_variables()), id="Dockerfile"),
        pytest.param(set(re.findall(r"name: ([A-Z_]+)", KUBERNETES)), id="kubernetes"),
        pytest.param({value.partition("=")[0] for value in unit_values("Environment")}, id="systemd"),
    ],
)
def test_each_variable_is_a_setting_of_the_agent_or_of_what_it_runs_on(named):
    assert named
    assert named - {"PATH", "HOME", "PYTHONDONTWRITEBYTECODE", *ALLOCATOR} <= {setting.variable for setting in SETTINGS}


ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Of glibc. One heap, not up to eight a core; no hole of 17 MB in it after a configuration of 10,000 devices; of huge pages."""


def test_image_and_unit_set_the_allocator_alike():
    assert ALLOCATOR.items() <= image_variables().items()
    assert ALLOCATOR.items() <= dict(value.split("=", 1) for value in unit_values("Environment")).items()


WHERE_OCTETS_ARE = """
large = bytes(20 << 20)
del large
octets = bytes(8 << 20)
heap = next(line for line in open("/proc/self/maps") if line.endswith("[heap]\\n")).split()[0]
begin, end = (int(each, 16) for each in heap.split("-"))
print("heap" if begin <= id(octets) < end else "apart")
inside = False
for line in open("/proc/self/smaps"):
    if line.split("-")[0] == heap.split("-")[0]:
        inside = True
    elif inside and line.startswith("VmFlags:"):
        print("huge" if "hg" in line.split() else "small")
        break
"""
"""Whether 8 MB are in the heap after 20 were freed, and whether the heap's pages are to be huge."""


@pytest.mark.parametrize(("variables", "found"), [({}, ["heap", "small"]), (ALLOCATOR, ["apart", "huge"])], ids=["none", "set"])
def test_the_allocator_knows_these_variables(variables, found):
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not huge.is_file() or "[madvise]" not in huge.read_text():
        found = found[:1]  # the kernel grants them to all, or to none: then nobody asks
    done = subprocess.run([sys.executable, "-c", WHERE_OCTETS_ARE], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split()[: len(found)] == found


def test_all_run_as_the_same_user():
    assert f"--chown={UID}:{UID}" in DOCKERFILE
    assert f"-o {UID} -g {UID} -m 0700" in DOCKERFILE
    assert f"towerops:x:{UID}:{UID}:" in read("packaging/image_root.py")
    assert set(re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", KUBERNETES)) == {UID}
    assert f"\nUID = {UID}\n" in read("packaging/check-image")
    assert int(UID) == container.UID


def test_the_image_starts_as_root_for_it_takes_the_volume():
    assert "USER" not in re.findall(r"^(\w+) ", DOCKERFILE, re.MULTILINE)
    assert "from towerops_agent.container import main" in read("packaging/image_root.py")


def test_all_have_the_version_of_the_package():
    assert re.findall(r'image\.version="(.*)"', DOCKERFILE) == [__version__]
    assert re.findall(r"image: .*towerops-agent:(\S+)", COMPOSE + KUBERNETES) == [__version__] * 2


def test_health_is_asked_by_a_command_that_there_is():
    asked = re.findall(r'HEALTHCHECK .*CMD \["towerops-agent", "(\w+)"\]', DOCKERFILE)
    asked += re.findall(r"command: \[towerops-agent, (\w+)\]", KUBERNETES)
    assert len(asked) == 3
    assert set(asked) <= set(commands())
    assert unit_values("ExecStart")[0].split()[1] in commands()


def test_health_is_asked_once_a_minute():
    """As benchmarks/rest.py counts it."""
    (interval,) = re.findall(r"^HEALTHCHECK --interval=(\d+)s", DOCKERFILE, re.MULTILINE)
    (period,) = re.findall(r"livenessProbe:\n.*\n +periodSeconds: (\d+)", KUBERNETES)
    (counted,) = re.findall(r"^HEALTH_EACH_S = (\d+)", read("benchmarks/rest.py"), re.MULTILINE)
    assert {interval, period, counted} == {"60"}


def test_the_database_lies_where_the_agent_may_write():
    default = next(setting.default for setting in SETTINGS if setting.variable == "DATABASE_PATH")
    assert re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE) == ["/data"]
    assert default.startswith("/data/")
    assert container.VOLUME == "/data"
    assert "mountPath: /data" in KUBERNETES
    (path,) = (value.partition("=")[2] for value in unit_values("Environment") if value.startswith("DATABASE_PATH="))
    assert path.startswith(f"/var/lib/{unit_values('StateDirectory')[0]}/")


def test_the_image_is_made_of_what_the_context_lets_in():
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = {name for names in re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_docker_finds_the_file_without_being_reported():
    """The other way round, a link out of packaging/, BuildKit refuses to follow."""
    assert (ROOT / "Dockerfile").readlink().as_posix() == "packaging/Dockerfile"


def test_what_discover_remembers_in_the_image_is_in_the_volume():
    """Whoever `docker exec` starts it as: a run that has forgotten the last one tries wrong credentials again."""
    home = image_variables()
    assert ledger_path(home).is_relative_to(container.VOLUME)
    assert f"towerops:x:{UID}:{UID}:Towerops agent:{container.VOLUME}:" in read("packaging/image_root.py")


def test_the_root_can_be_read_only_everywhere():
    assert "read_only: true" in COMPOSE
    assert "readOnlyRootFilesystem: true" in KUBERNETES
    assert unit_values("ProtectSystem") == ["strict"]


def test_the_stop_may_take_as_long_as_the_agent_needs():
    from towerops_agent.agent import STOP_WITHIN_S

    allowed = [*unit_values("TimeoutStopSec"), *re.findall(r"stop_grace_period: (\d+)s", COMPOSE)]
    allowed += re.findall(r"terminationGracePeriodSeconds: (\d+)", KUBERNETES)
    assert len(allowed) == 3
    assert all(int(seconds) >= 2 * STOP_WITHIN_S for seconds in allowed)


def test_a_command_beside_the_service_has_its_settings_and_its_token(tmp_path):
    """Both ways of docs/deployment.md, the package's and the unit's; packaging/check-deb runs the package's as it stands."""
    quoted = re.search(r"^`(RADIOS='([^`]*)')`", read("docs/deployment.md"), re.MULTILINE)
    assert quoted is not None, "the way to write what a shell would change"
    (tmp_path / "agent.env").write_text(f"# settings\nTOWEROPS_API_URL=https://towerops.example\n{quoted[1]}\n")
    (tmp_path / "token").write_text("a-token\n")
    of_package, of_unit = re.findall(r"^sudo (sh -ac .*)$", read("docs/deployment.md"), re.MULTILINE)
    found = []
    for command in (of_package, of_unit):
        shown = re.sub(r"exec .* doctor'$", "exec env'", command).replace("/etc/towerops-agent", str(tmp_path))
        done = subprocess.run(shlex.split(shown), check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        given = dict(line.split("=", 1) for line in done.stdout.splitlines())
        assert (given["RADIOS"], done.stderr) == (quoted[2], "")
        found.append(read_settings(given, {}))
    assert [settings.api_url for settings in found] == ["https://towerops.example"] * 2
    assert found[0].token.reveal() == "a-token"
    assert found[1].token_file == tmp_path / "token"
    assert [f"DATABASE_PATH={found[1].database_path}"] == [v for v in unit_values("Environment") if "DATABASE_PATH" in v]


@pytest.mark.parametrize("kind", ["installation", "upgrade"])
def test_the_services_user_can_read_the_virtual_environment_whatever_roots_umask_is(tmp_path, kind):
    """With 077, as hardened machines have it, systemd could not execute the command, and tried for ever."""
    document = read("docs/deployment.md")
    (block,) = (block for block in fences(document, "sh") if "-m venv /opt/towerops-agent\n" in block)
    (row,) = (line for line in document.splitlines() if line.startswith("| systemd | `sudo /opt/"))
    shown = block.splitlines() if kind == "installation" else re.findall(r"`([^`]+)`", row)
    place = tmp_path / "venv"
    steps = [step.removeprefix("sudo ").replace("/opt/towerops-agent", str(place)) for step in shown if "/opt/" in step]
    stand_in = f"mkdir -p {place}/bin; : >{place}/bin/towerops-agent"  # for what takes a network
    steps = [stand_in if "-m venv" in step or "pip install" in step else step for step in steps]
    subprocess.run(["sh", "-ec", "\n".join(["umask 077", *steps])], check=True)
    found = {path.name: path.stat().st_mode & 0o055 for path in (place, *place.rglob("*"))}
    assert found == {"venv": 0o055, "bin": 0o055, "towerops-agent": 0o044}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason=NO_SYSTEMD)
def test_systemd_understands_the_unit(tmp_path):
    unit = tmp_path / "towerops-agent.service"
    unit.write_text(re.sub(r"^(ExecStart|ExecReload)=.*$", r"\1=/bin/true", UNIT, flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], check=False, capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])
