"""A first site file: right whatever a device calls its interfaces."""

from hypothesis import given
from hypothesis import strategies as st

from towerops_agent.model import Credentials, Transport
from towerops_agent.site.document.site import compile_site
from towerops_agent.snmptool.draft import site_file
from towerops_agent.snmptool.target import Target

names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)


@given(names, st.lists(names, max_size=8), st.sampled_from([161, 1161]))
def test_the_file_is_right_whatever_the_names_are(name: str, interfaces: list[str], port: int):
    target = Target("192.0.2.1", port, Transport.UDP, Credentials())
    text = site_file(target, name, enumerate(interfaces, start=1), ("community", "public"), None)
    compiled = compile_site([("site.yaml", text.encode())], lambda *_: "")
    assert compiled.problems == []
    assert (compiled.devices, compiled.interfaces) == (1, len(interfaces))
