"""The configurations of NATS servers in the docs and in the manifest are accepted by the real server."""

import os
import re
import subprocess
from pathlib import Path

import trustme
import yaml

from support import nats
from support.markdown import read

DOCUMENTS = {document["kind"]: document for document in yaml.safe_load_all(read("packaging/kubernetes-group.yaml"))}
POD = DOCUMENTS["StatefulSet"]["spec"]["template"]["spec"]
CONTAINERS = {container["name"]: container for container in POD["containers"]}


def check(config: str, folder: Path, **variables: str) -> None:
    nats.needed()
    file = folder / "nats.conf"
    file.write_text(config)
    command = [str(nats.SERVER), "-t", "-c", str(file)]
    run = subprocess.run(command, check=False, env=os.environ | variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_configuration_in_the_docs_is_one(tmp_path: Path):
    (config,) = re.findall(r"```nats\n(.*?)```", read("docs/group.md"), re.DOTALL)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = ca.issue_cert("box-1")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    check(config.replace("/etc/nats/", f"{tmp_path}/"), tmp_path)


def test_the_agent_may_read_the_files_that_the_docs_give_it():
    """The servers' directory is closed to it."""
    text = read("docs/group.md")
    (closed,) = re.findall(r"^install -d -o nats .*-m 700 (\S+)$", text, re.MULTILINE)
    named = re.findall(r"^\w+_FILE=(\S+)$", text, re.MULTILINE)
    made = re.findall(r"^install (?:-m 644|-o towerops-agent -m 400) \S+ (\S+)", text, re.MULTILINE)
    assert [path for path in named if path.startswith(f"{closed}/")] == []
    assert sorted(named) == sorted(made)


def test_the_one_in_the_manifest_is_one(tmp_path: Path):
    variables = {"POD_NAME": "towerops-agent-0", "PASSWORD": "n0123456789abcdef"}
    for item in CONTAINERS["nats"]["env"]:
        if "value" in item:
            variables[item["name"]] = item["value"].replace("$(PASSWORD)", variables["PASSWORD"])
    names = {item["name"] for item in CONTAINERS["nats"]["env"]}
    assert names == variables.keys()
    check(DOCUMENTS["ConfigMap"]["data"]["nats.conf"], tmp_path, **variables)


def test_the_manifests_secrets_are_those_that_it_says_to_create_and_the_docs_too():
    used = {volume["secret"]["secretName"] for volume in POD["volumes"] if "secret" in volume}
    commands = [
        line.removeprefix("#").strip() for line in read("packaging/kubernetes-group.yaml").splitlines() if "create secret" in line
    ]
    assert {command.split()[4] for command in commands} == used
    assert all(command in read("docs/group.md") for command in commands)


def test_each_pod_has_a_node_a_volume_and_a_server_of_its_own():
    spec = DOCUMENTS["StatefulSet"]["spec"]
    assert spec["replicas"] == 3
    (term,) = POD["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert spec["volumeClaimTemplates"]
    urls = next(item["value"] for item in CONTAINERS["agent"]["env"] if item["name"] == "GROUP_NATS_URLS").split(",")
    assert urls == ["nats://127.0.0.1:4222", *(f"nats://towerops-agent-{n}.towerops-agent:4222" for n in range(3))]
