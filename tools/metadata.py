"""What the packages' metadata say beyond pyproject.toml: links that lead somewhere from anywhere.

README.md's links are relative, for who reads it in a checkout. A package index shows it elsewhere, so they become links below
TOWEROPS_REPOSITORY_URL, which the workflows set to the address of the repository that they build. Without it they become plain
text: no link is better than a dead one. Run by hatchling, at each build.
"""

# ruff: noqa: INP001 - loaded by hatchling, in no package

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

SERVICE = "https://app.towerops.com"
REPOSITORY = "TOWEROPS_REPOSITORY_URL"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


class Metadata(MetadataHookInterface):
    """Hatchling's hook for `readme` and `urls`, which are dynamic in pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill both in."""
        base = os.environ.get(REPOSITORY, "").rstrip("/")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, base)}
        metadata["urls"] = urls(base)


def urls(base: str) -> dict[str, str]:
    """The project's addresses; without `base`, the repository's, only the service's."""
    if not base:
        return {"Homepage": SERVICE}
    return {
        "Homepage": SERVICE,
        "Source": base,
        "Documentation": f"{base}/blob/HEAD/docs/operations.md",
        "Changelog": f"{base}/blob/HEAD/CHANGELOG.md",
    }


def absolute(text: str, base: str) -> str:
    """`text` with each relative link below `base`, or as plain text if there is no base. Links within the page stay."""

    def replace(link: re.Match[str]) -> str:
        mark, name, target = link.groups()
        if target.startswith("#") or "://" in target:
            return link[0]
        return f"{mark}[{name}]({base}/{'raw' if mark else 'blob'}/HEAD/{target})" if base else name

    return LINK.sub(replace, text)
