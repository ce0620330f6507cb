"""The page is one document that asks nobody for anything but its data, and runs nothing but what is in it."""

import base64
import gzip
import json
import re
from hashlib import sha256

from towerops_agent.page.assets import asset
from towerops_agent.page.document import MODULES, document, document_with


def policy(page: str) -> dict[str, str]:
    (content,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    return dict(part.strip().split(" ", 1) for part in content.split(";"))


def test_its_policy_allows_exactly_what_is_in_it():
    page = document().decode()
    allowed = policy(page)
    scripts = re.findall(r'<script(?: type="module")?>(.*?)</script>', page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for kind, texts in (("script-src", scripts), ("style-src", styles)):
        hashes = [f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts]
        assert allowed[kind].split() == hashes
    assert (len(scripts), len(styles)) == (2, 1)
    assert (allowed["default-src"], allowed["connect-src"], allowed["base-uri"]) == ("'none'", "'self'", "'none'")


def test_nothing_in_it_comes_from_elsewhere():
    page = document_with(b"{}", []).decode()
    assert policy(page)["connect-src"] == "'none'"
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)""", page) == []
    assert set(re.findall(r"https?://[\w./]*", page)) == {"http://www.w3.org/2000/svg"}
    assert "[[" not in page


def test_joined_its_modules_import_nothing():
    page = document().decode()
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    used = {name for module in MODULES for name in re.findall(r'from "\./(.*?)";', asset(module).decode())}
    assert used <= set(MODULES)


def test_data_can_not_end_its_element():
    views = b'{"charts":[]}'
    page = document_with(b'{"title":"</script><script>alert(1)</script><!--"}', [("a</script>", views)]).decode()
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    kept = json.loads(data)
    assert kept["overview"]["title"] == "</script><script>alert(1)</script><!--"
    assert gzip.decompress(base64.b64decode(kept["devices"]["a</script>"])) == views
