"""The software bill of materials of an image, as CycloneDX 1.6 JSON.

Interpreter, Python distributions and Debian packages -> the text of one document (used by image_root.py). Scanners read the
Debian packages from dpkg's status too; an interpreter below /usr/local, as the python images have it, they find only here.
The same image has the same document: no time and no serial number are in it.
Source: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec.
"""

# ruff: noqa: INP001 - a module of the image's build, in no package

import json
from collections.abc import Iterable
from importlib.metadata import Distribution
from typing import Any
from urllib.parse import quote


def document(version: str, components: Iterable[dict[str, Any]]) -> str:
    """The document of the image that holds `components` and this version of the agent."""
    described = sorted(components, key=lambda component: str(component["bom-ref"]))
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": {"type": "container", "name": "towerops-agent", "version": version, "bom-ref": "image"}},
            "components": described,
            "dependencies": [{"ref": "image", "dependsOn": [component["bom-ref"] for component in described]}],
        },
        indent=1,
    )


def interpreter(version: str) -> dict[str, Any]:
    """CPython. Its CPE is how vulnerabilities of it are published."""
    return {
        **_component("application", "cpython", version, f"pkg:generic/python@{quote(version)}"),
        "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
    }


def distribution(found: Distribution) -> dict[str, Any]:
    """What pip has installed."""
    name = found.metadata["Name"].lower().replace("_", "-")
    return _component("library", name, found.version, f"pkg:pypi/{quote(name)}@{quote(found.version)}")


def debian_package(name: str, version: str, architecture: str, release: str) -> dict[str, Any]:
    """A package of Debian. `release`: what /etc/os-release has as VERSION_ID, as in "13"."""
    purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=debian-{release}"
    return _component("library", name, version, purl)


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "name": name, "version": version, "purl": purl, "bom-ref": purl}
