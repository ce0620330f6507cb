"""The command line as a whole: completion in a shell, options before the command, the bare command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from support.markdown import fences, read
from towerops_agent import __version__
from towerops_agent.cli import main
from towerops_agent.cli.main import cli
from towerops_agent.cli.process import report
from towerops_agent.telemetry.views.snapshot import SingleRun

NAME = "towerops-agent"
COMMANDS = {"doctor", "health", "history", "run", "snmp", "status"}


def completions(*words: str, incomplete: str = "") -> set[str]:
    complete = BashComplete(cli, {}, NAME, "_TOWEROPS_AGENT_COMPLETE")
    return {item.value for item in complete.get_completions(list(words), incomplete)}


def test_the_first_word_completes_to_the_commands():
    assert completions() >= COMMANDS
    assert completions(incomplete="st") == {"status"}


def test_options_of_the_bare_command_complete():
    assert completions(incomplete="--da") == {"--database-path"}
    assert completions(incomplete="--ver") == {"--version"}
    assert "--once" in completions("--log-level", "debug", incomplete="--")


def test_a_command_completes_behind_options():
    assert completions("--database-path", "x.db", incomplete="sta") == {"status"}
    assert completions("--database-path=x.db", "--allow-http", incomplete="sta") == {"status"}


def test_values_and_commands_of_a_group_complete():
    assert completions("run", "--log-level") == {"debug", "info", "warning", "error"}
    assert completions("--log-level", incomplete="w") == {"warning"}
    assert completions("snmp") == {"get", "walk", "probe"}


COMPLETED = {
    "bash": """{line}
        COMP_WORDS=(towerops-agent sta) COMP_CWORD=1
        _towerops_agent_completion towerops-agent
        echo "${{COMPREPLY[*]}}" """,
    # zsh completes only what is typed: what its completion is made of prints instead
    "zsh": """compdef() {{ :; }}; _describe() {{ print -rl -- "${{(@)${{(P)3}}%%:*}}"; }}
        {line}
        words=(towerops-agent sta) CURRENT=2
        _towerops_agent_completion""",
    "fish": """{line}
        complete --do-complete "towerops-agent sta" | string split --fields 1 \\t""",
}
"""What to run in each shell, with the line of the README, so that it prints how `towerops-agent sta` can go on."""


@pytest.mark.parametrize("shell", sorted(COMPLETED))
def test_each_shell_completes_with_the_line_of_the_readme(shell, tmp_path):
    """The shell itself, the line that the README says to add, and the command as it is installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (line,) = [line for block in fences(read("README.md"), "sh") for line in block.splitlines() if f"={shell}_source" in line]
    script = COMPLETED[shell].format(line=line.split("  #")[0])
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [shell, "-c", script], check=False, env={"PATH": path, "HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("status", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readme_has_a_line_for_each_shell_that_click_knows(shell):
    assert f"_TOWEROPS_AGENT_COMPLETE={shell}_source towerops-agent" in read("README.md")


@pytest.mark.parametrize("before", [["--database-path", "{}"], ["--database-path={}"]])
def test_an_option_before_the_command_is_the_command_s(before, tmp_path):
    place = tmp_path / "nobody.db"
    result = CliRunner().invoke(cli, [*(word.format(place) for word in before), "status"])
    assert result.exit_code == 1
    assert f"there is no database {place}" in result.stderr


def test_an_option_before_a_group_is_that_of_its_command(tmp_path):
    result = CliRunner().invoke(cli, ["--database-path", str(tmp_path / "x.db"), "snmp", "get", "no_such.invalid."])
    assert "Missing argument 'OIDS...'" in result.stderr  # and not: no such option


def test_an_option_that_the_command_lacks_is_refused_by_name():
    result = CliRunner().invoke(cli, ["--api-url", "https://a.example", "status"])
    assert (result.exit_code, "No such option '--api-url'" in result.stderr) == (2, True)


@pytest.mark.parametrize("given", [[], ["--log-level", "status"], ["--log-level", "info"], ["--once", "--allow-http"]])
def test_without_a_command_it_is_run(given, monkeypatch):
    """A value that is also a command's name is still a value."""
    ran = []
    monkeypatch.setattr(main.run, "invoke", lambda ctx: ran.append(ctx.params))
    assert CliRunner().invoke(cli, given).exit_code == 0
    assert len(ran) == 1


def test_a_shell_that_asks_the_bare_command_for_completions_gets_them_and_starts_no_agent():
    command = [sys.executable, "-m", "towerops_agent"]
    asked = subprocess.run(command, env={"_TOWEROPS_AGENT_COMPLETE": "bash_source"}, capture_output=True, text=True, check=True)
    assert "_towerops_agent_completion" in asked.stdout
    assert asked.stderr == ""


@pytest.mark.parametrize("words", [[], ["run"], ["run", "--log-level", "info"]], ids=" ".join)
def test_a_bad_setting_ends_the_command_in_the_same_way_with_and_without_options(words):
    command = [sys.executable, "-m", "towerops_agent", *words]
    ended = subprocess.run(command, env={"TOWEROPS_API_URL": "ftp://a.example"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert all(line.startswith("towerops-agent: ") for line in ended.stderr.splitlines()), ended.stderr
    assert "TOWEROPS_API_URL is 'ftp://a.example'" in ended.stderr


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_asked_for_as_usual(option):
    assert CliRunner().invoke(cli, [option]).output == f"{__version__}\n"


def test_help_shows_what_a_value_may_be():
    text = CliRunner().invoke(cli, ["run", "--help"], terminal_width=120).output
    assert "[debug|info|warning|error]" in text
    assert "--allow-http " in text
    assert "TEXT" not in text.split("--allow-http")[1].split("--metrics-listen")[0]
    assert isinstance(next(p for p in main.run.params if p.name == "allow_http"), click.Option)


@pytest.mark.parametrize(("given", "value"), [([], None), (["--allow-http"], "1")])
def test_a_switch_needs_no_value_and_is_absent_unless_given(given, value):
    assert main.run.make_context("run", given).params["allow_http"] == value


def test_an_option_accepts_what_its_variable_accepts():
    assert main.run.make_context("run", ["--log-level", "WARN"]).params["log_level"] == "WARN"


@pytest.mark.parametrize("group", [[], ["snmp"]], ids=" ".join)
def test_the_help_of_a_group_says_what_each_command_does_in_a_whole_line(group):
    """At 80 columns, the lab's commands too; click would cut a longer line off."""
    text = CliRunner().invoke(cli, [*group, "--help"], terminal_width=80).output
    assert "..." not in text.partition("Commands:")[2]


def test_a_problem_is_a_line_that_cannot_control_the_terminal(capsys):
    """A name in the configuration may hold anything."""
    assert report(SingleRun(1, 0, ["radio \x1b[2J\nall works returned nothing: timeout"])) == 1
    assert capsys.readouterr().err == "towerops-agent: radio \\x1b[2J\\nall works returned nothing: timeout\n"


@pytest.mark.parametrize(("words", "module"), [(["status"], "cli.status"), (["run"], "cli.process"), (["run"], "agent")])
def test_ctrl_c_while_all_is_imported_shows_no_traceback(words, module):
    """On a small box that takes seconds: just when somebody notices a wrong command."""
    code = f"""
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "towerops_agent.{module}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
sys.argv = ["towerops-agent", *{words!r}]
from towerops_agent.__main__ import main
main()
"""
    environment = {**os.environ, "TOWEROPS_API_URL": "http://127.0.0.1:9", "TOWEROPS_AGENT_TOKEN": "t0ken-7f"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Aborted!\n")


TWICE = """
import os
from towerops_agent.__main__ import _command
try:
    _command()
except SystemExit:
    pass
os.write(1, b"as nobody:")
os.write(2, b"as nobody:")
os.setresuid(65534, 65534, 65534)
_command()
"""
"""The command as root, so that what it imports need not be readable for others, then as another user."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize(
    "words", [("status",), ("health",), ("devices",), ("history", "North"), ("page", "--output", "-"), ("refused", "--retry")]
)
def test_a_database_that_is_another_users_is_said_to_be_so(words: tuple[str, ...]):
    """Not as a wrong option, and not as an agent that does not run: the command has to be given as the agent's user."""
    with TemporaryDirectory() as folder:  # pytest's own folders are closed to others, each time that a pytest starts
        Path(folder).chmod(0o755)
        database = Path(folder, "agent.db")
        database.touch(mode=0o600)
        command = [sys.executable, "-c", TWICE, *words]
        done = subprocess.run(command, env={"DATABASE_PATH": str(database)}, capture_output=True, text=True, check=False)
    output = "".join(text.partition("as nobody:")[2] for text in (done.stdout, done.stderr))
    said = (
        f"the database {database} can't be read (unable to open database file): check its mode, or run this as the agent's user"
    )
    assert (done.returncode, output.removeprefix("towerops-agent: ")) == (1, f"{said}\n")
