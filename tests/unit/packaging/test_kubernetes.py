"""The manifest is whole, and applying it again changes nothing that an operator has set."""

import pytest
import yaml

from support.markdown import read

DOCUMENTS = {document["kind"]: document for document in yaml.safe_load_all(read("packaging/kubernetes.yaml"))}
POD = DOCUMENTS["StatefulSet"]["spec"]["template"]


def test_the_service_that_the_stateful_set_names_is_there():
    service = DOCUMENTS["Service"]
    assert service["metadata"]["name"] == DOCUMENTS["StatefulSet"]["spec"]["serviceName"]
    assert service["spec"]["selector"].items() <= POD["metadata"]["labels"].items()
    assert service["spec"]["clusterIP"] == "None"


def test_applying_it_again_leaves_the_token_as_it_is():
    assert "Secret" not in DOCUMENTS
    (volume,) = (volume for volume in POD["spec"]["volumes"] if "secret" in volume)
    (command,) = (line for line in read("packaging/kubernetes.yaml").splitlines() if "kubectl create secret" in line)
    words = command.split()
    assert volume["secret"]["secretName"] == words[words.index("generic") + 1]


def test_the_docs_create_the_same_secret():
    (command,) = (line for line in read("packaging/kubernetes.yaml").splitlines() if "kubectl create secret" in line)
    assert command.removeprefix("#").strip() in read("docs/deployment.md")


@pytest.mark.parametrize("manifest", ["packaging/kubernetes.yaml", "packaging/kubernetes-group.yaml"])
def test_the_agents_group_may_ping_without_a_capability(manifest):
    (stateful,) = (each for each in yaml.safe_load_all(read(manifest)) if each["kind"] == "StatefulSet")
    pod = stateful["spec"]["template"]["spec"]
    group = pod["securityContext"]["runAsGroup"]
    assert pod["securityContext"]["sysctls"] == [{"name": "net.ipv4.ping_group_range", "value": f"{group} {group}"}]
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
