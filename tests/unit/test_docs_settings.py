"""The tables of settings, in README.md and docs/operations.md, and the settings are one and the same."""

import pytest

from support.markdown import code, read, rows, sections
from towerops_agent.settings import SETTINGS


def table(document: str) -> dict[str, tuple[str, str, str]]:
    """Variable -> (option, default, the rest of its row)."""
    found = {}
    for variable, option, default, *rest in rows(sections(read(document))["Settings"]):
        if option.startswith("`--"):
            found[code(variable)[0]] = (code(option)[0], default.strip("`"), " ".join(rest))
    return found


@pytest.mark.parametrize("document", ["README.md", "docs/operations.md"])
def test_each_setting_is_in_the_table_with_its_option_and_default_and_nothing_else_is(document):
    documented = {variable: (option, default) for variable, (option, default, _) in table(document).items()}
    assert documented == {setting.variable: (setting.flag, setting.default) for setting in SETTINGS}


@pytest.mark.parametrize("document", ["README.md", "docs/operations.md"])
def test_each_setting_is_explained(document):
    assert [variable for variable, (_, _, text) in table(document).items() if not text] == []


def test_the_bounds_of_a_number_are_documented():
    """A value just outside is refused by the code; the words are the refusal's own numbers."""
    told = table("docs/operations.md")
    for variable, least, most in (
        ("CONFIG_REFRESH_SECONDS", "5", "86400"),
        ("BUFFER_MAX_MB", "16", "1048576"),
        ("BUFFER_COMMIT_SECONDS", "0", "60"),
    ):
        assert f"{least} to {most}" in told[variable][2]
