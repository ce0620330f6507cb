"""What is laid out in the image is known by name: Debian's packages, and a bill of materials."""

import importlib.util
import json
import sys
from importlib.metadata import distribution

import pytest

from support.markdown import ROOT

PACKAGING = ROOT / "packaging"


@pytest.fixture
def load(monkeypatch):
    """A module of packaging/, as it is loaded there."""
    monkeypatch.syspath_prepend(str(PACKAGING))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_diversion_is_not_a_package(load):
    """As `dpkg-query --search` prints them on Debian 13."""
    listing = (
        "diversion by libc6 from: /lib64/ld-linux-x86-64.so.2\n"
        "diversion by libc6 to: /lib64/ld-linux-x86-64.so.2.usr-is-merged\n"
        "local diversion from: /usr/lib/x86_64-linux-gnu/libz.so.1\n"
        "libc6:amd64: /usr/lib64/ld-linux-x86-64.so.2\n"
        "libc6:amd64, libc6:arm64: /usr/share/doc/libc6\n"
    )
    load("sbom")
    assert load("image_root").owners(listing) == {"libc6:amd64", "libc6:arm64"}


def test_the_interpreter_and_the_wheels_are_stripped_and_nothing_of_debians(load, tmp_path):
    names = ["opt/towerops-agent/lib/a.so", "usr/local/bin/python3.13", "usr/local/lib/libpython3.13.so.1.0", "usr/lib/libz.so.1"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x7fELF")
    (tmp_path / "opt/towerops-agent/lib/a.py").write_text("")
    load("sbom")
    found = load("image_root").ImageRoot(tmp_path).with_symbols()
    assert {str(path.relative_to(tmp_path)) for path in found} == set(names) - {"usr/lib/libz.so.1"}


def test_the_bill_names_each_component_once_and_by_its_purl(load):
    sbom = load("sbom")
    components = [
        sbom.interpreter("3.13.5"),
        sbom.distribution(distribution("prometheus_client")),
        sbom.debian_package("libssl3t64", "3.5.1-1+deb13u1", "amd64", "13"),
    ]
    bill = json.loads(sbom.document("0.1.0", components))
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", "0.1.0")
    purls = {component["name"]: component["purl"] for component in bill["components"]}
    version = distribution("prometheus_client").version
    assert purls == {
        "cpython": "pkg:generic/python@3.13.5",
        "prometheus-client": f"pkg:pypi/prometheus-client@{version}",
        "libssl3t64": "pkg:deb/debian/libssl3t64@3.5.1-1%2Bdeb13u1?arch=amd64&distro=debian-13",
    }
    assert sorted(bill["dependencies"][0]["dependsOn"]) == sorted(purls.values())


def test_the_same_image_has_the_same_bill(load):
    sbom = load("sbom")
    components = [sbom.interpreter("3.13.5"), sbom.debian_package("zlib1g", "1", "amd64", "13")]
    assert sbom.document("1", components) == sbom.document("1", reversed(components))
