"""Compose files: the one that users of the service have works as it stands, and the project's own passes each setting on."""

import re

import yaml

from support.markdown import read
from towerops_agent import container
from towerops_agent.settings import SETTINGS

VARIABLES = {setting.variable for setting in SETTINGS}
USERS = """
version: '3.8'
services:
  towerops-agent:
    image: towerops-agent:latest
    restart: unless-stopped
    environment:
      - TOWEROPS_API_URL=https://app.towerops.com
      - TOWEROPS_AGENT_TOKEN=your-agent-token-here
    volumes:
      - ./data:/data
"""
OWN = read("docker-compose.yml")
WITH_A_TOKEN_FILE = re.sub(r"^( *)# (environment|secrets|  token)(: .*|:)$", r"\1\2\3", OWN, flags=re.MULTILINE)


def service(text: str):
    (only,) = yaml.safe_load(text)["services"].values()
    return only


def test_the_users_variables_are_settings_and_their_volume_is_the_one_that_is_taken():
    """Docker makes its directory as root's, and starts the image, which names no user, as root: see container.py."""
    theirs = service(USERS)
    assert {variable.partition("=")[0] for variable in theirs["environment"]} <= VARIABLES
    assert [volume.partition(":")[2] for volume in theirs["volumes"]] == [container.VOLUME]
    assert theirs.keys() == {"image", "restart", "environment", "volumes"}
    assert f"\nVOLUME {container.VOLUME}\n" in read("packaging/Dockerfile")


def test_ours_passes_on_each_setting_and_needs_no_second_service():
    ours = service(OWN)
    assert ours["env_file"] == ".env"
    assert "environment" not in ours
    assert ours["volumes"] == [f"./data:{container.VOLUME}"]


def test_ours_leaves_the_capabilities_that_the_start_needs():
    """CHOWN takes ./data, SETGID and SETUID make it another user, SETPCAP bars the way back."""
    ours = service(OWN)
    assert ours["cap_drop"] == ["ALL"]
    assert ours["cap_add"] == ["CHOWN", "SETGID", "SETPCAP", "SETUID"]
    assert "user" not in ours


def test_the_commented_variant_has_the_token_as_a_file():
    document = yaml.safe_load(WITH_A_TOKEN_FILE)
    ours = service(WITH_A_TOKEN_FILE)
    assert ours["environment"].keys() <= VARIABLES
    (secret,) = ours["secrets"]
    assert ours["environment"]["TOWEROPS_AGENT_TOKEN_FILE"] == f"/run/secrets/{secret}"
    assert document["secrets"].keys() == {secret}
    assert f"install -o {container.UID} -m 0400 /dev/null {document['secrets'][secret]['file'].removeprefix('./')}" in OWN


def test_the_agents_group_may_ping_without_a_capability():
    group = container.UID  # its group has the same number
    assert service(OWN)["sysctls"] == {"net.ipv4.ping_group_range": f"{group} {group}"}
    assert "NET_RAW" not in OWN
