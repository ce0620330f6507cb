"""The docs page: the OpenAPI document as one HTML page, without a script and without external resources. Pure."""

import json
import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any


def docs_page(document: dict[str, Any]) -> str:
    """The page."""
    info = document["info"]
    body = [
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        f"<p class=lead>{_prose(info['description'])}</p>",
        '<p>For machines: <a href="openapi.json"><code>openapi.json</code></a>.</p>',
        "<p>Each request carries <code>Authorization: Bearer &lt;token&gt;</code>.</p>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body += _operation(path, method, operation)
    body.append('<h2 id="schemas">Schemas</h2>')
    for name, schema in document["components"]["schemas"].items():
        body += _schema(name, schema)
    return _PAGE.replace("{title}", escape(info["title"])).replace("{body}", "\n".join(body))


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<section class=operation id="{operation["operationId"]}">'
    yield f'<h2><span class="method {method}">{method.upper()}</span> <code>{escape(path)}</code></h2>'
    yield f"<p><strong>{escape(operation['summary'])}.</strong> {_prose(operation['description'])}</p>"
    for parameter in operation.get("parameters", []):
        yield f"<p>Header <code>{parameter['name']}</code>, optional: {_prose(parameter['description'])}</p>"
    if "requestBody" in operation:
        yield f"<p>Body: {_content(operation['requestBody'])}</p>"
    yield f'<div class=scroll tabindex=0 role=region aria-label="Answers to {operation["operationId"]}"><table>'
    yield "<thead><tr><th scope=col>Answer<th scope=col>Meaning<th scope=col>Body</thead><tbody>"
    for status, answer in operation["responses"].items():
        yield f"<tr><th scope=row><code>{status}</code><td>{_prose(answer['description'])}<td>{_content(answer)}"
    yield "</tbody></table></div></section>"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<section class=schema id="{name}"><h3>{name}</h3>'
    if schema.get("description"):
        yield f"<p>{_prose(schema['description'])}</p>"
    yield f'<div class=scroll tabindex=0 role=region aria-label="Fields of {name}"><table>'
    yield "<thead><tr><th scope=col>Field<th scope=col>Type<th scope=col>Notes</thead><tbody>"
    for field, kind in schema["properties"].items():
        needed = "" if field in schema.get("required", ()) else " <span class=optional>optional</span>"
        yield f"<tr><th scope=row><code>{escape(field)}</code>{needed}<td>{_type(kind)}<td>{_notes(kind)}"
    yield "</tbody></table></div></section>"


def type_text(kind: dict[str, Any], link: Callable[[str], str], code: Callable[[str], str]) -> str:
    """The values that a JSON schema allows, in words. `link`: to a named schema; `code`: how to write a JSON value."""
    if "$ref" in kind:
        return link(kind["$ref"].rpartition("/")[2])
    if "oneOf" in kind:
        return " or ".join(type_text(one, link, code) for one in kind["oneOf"])
    if "const" in kind:
        return code(json.dumps(kind["const"]))
    if "enum" in kind:
        return " or ".join(code(json.dumps(value)) for value in kind["enum"])
    names = kind.get("type", "any")
    names = [names] if isinstance(names, str) else names
    lists = f"list of {type_text(kind['items'], link, code)}" if "items" in kind else "array"
    return " or ".join(lists if name == "array" else name for name in names)


def _type(kind: dict[str, Any]) -> str:
    return type_text(kind, lambda name: f'<a href="#{name}">{name}</a>', lambda value: f"<code>{escape(value)}</code>")


def _notes(kind: dict[str, Any]) -> str:
    notes = [_prose(kind["description"])] if "description" in kind else []
    if "default" in kind:
        notes.append(f"Default: <code>{escape(json.dumps(kind['default']))}</code>.")
    if "examples" in kind:
        notes.append("Such as " + ", ".join(f"<code>{escape(json.dumps(each))}</code>" for each in kind["examples"]) + ".")
    if "maxItems" in kind:
        notes.append(f"At most {kind['maxItems']:,}.")
    return " ".join(notes)


def _content(holder: dict[str, Any]) -> str:
    content = holder.get("content", {}).get("application/json")
    return _type(content["schema"]) if content else "none"


def _prose(text: str) -> str:
    """Markdown's emphasis and code."""
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text)))


_PAGE = """<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<meta name=color-scheme content="light dark">
<title>{title}</title>
<link rel=icon href="page/icon.svg" type=image/svg+xml>
<link rel=stylesheet href="page/base.css">
<link rel=stylesheet href="page/docs.css">
<script src="page/theme.js"></script>
<header class=top><a class=brand href="./"><img src="page/icon.svg" alt="" width=28 height=28>Towerops sandbox</a></header>
<main class=docs>
{body}
</main>
</html>
"""
