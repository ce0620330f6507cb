"""The contract as an OpenAPI 3.1 document: served at /openapi.json, and the source of the docs page.

As strict as checks.py, and no stricter: tests send what it generates. Pure.
"""

from typing import Any, Final

from towerops_agent import __version__
from towerops_agent.api.wire.contract import CONFIG_PATH, HEARTBEAT_PATH, METRICS_PATH, Accepts
from towerops_lab.sandbox.kinds import KINDS

Document = dict[str, Any]

_DATE = (
    "[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
TIMESTAMP: Final = rf"^{_DATE}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}}Z$"

_FINITE: Final = 1.7976931348623157e308

_COUNTER: Document = {
    "type": ["integer", "null"],
    "minimum": 0,
    "maximum": 2**64 - 1,
    "description": "Raw; null if the device did not send it.",
}
_ID: Document = {"type": "string", "minLength": 1}
_TIME_MS: Document = {
    "type": ["number", "null"],
    "minimum": 0,
    "maximum": _FINITE,
    "description": "Null if and only if none came back.",
}
_STAMP: Document = {
    "type": "string",
    "pattern": TIMESTAMP,
    "description": "RFC 3339, UTC, microseconds: when the value's reply was received; at most a day ahead. "
    "(29 February is accepted as well.)",
    "examples": ["2026-01-09T19:22:15.123456Z"],
}


def document(accepts: Accepts, server: str = "/") -> Document:
    """The document. `accepts`: the limits to show."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Towerops agent API",
            "version": __version__,
            "summary": "What the agent requests from a server, and what it sends.",
            "description": (
                "The agent is the only client. It fetches its configuration, posts metrics every 30 s and a heartbeat every "
                "60 s. Unknown fields are ignored at every level. Parts marked *extension* are optional on both sides."
            ),
        },
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": {
            CONFIG_PATH: {"get": _get_config()},
            METRICS_PATH: {"post": _post_metrics()},
            HEARTBEAT_PATH: {"post": _post_heartbeat()},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The agent's token."}},
            "schemas": _schemas(accepts),
        },
    }


def _get_config() -> Document:
    return {
        "operationId": "getConfig",
        "summary": "The configuration: which equipment to poll, and how",
        "description": "Fetched at the start and every 5 minutes. *Extension:* `ETag` and `If-None-Match`.",
        "parameters": [
            {
                "name": "If-None-Match",
                "in": "header",
                "schema": {"type": "string"},
                "description": "The ETag of the configuration in use.",
            }
        ],
        "responses": {
            "200": {
                "description": "The configuration.",
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": _ref("Config")}},
            },
            "304": {"description": "Unchanged.", "headers": {"ETag": {"schema": {"type": "string"}}}},
            **_refusals("401"),
        },
    }


def _post_metrics() -> Document:
    return {
        "operationId": "postMetrics",
        "summary": "A batch of metrics",
        "description": (
            "The whole batch is stored, or nothing of it. *Extension:* with an `Idempotency-Key`, a batch that is sent again is "
            "accepted and stored once. *Extension:* `Content-Encoding: gzip` or `zstd` if the configuration's `accepts` lists it."
        ),
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string"},
                "description": "The same key, the same body, on every retry of one batch.",
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Metrics")}}},
        "responses": {
            "200": {"description": "Stored.", "content": {"application/json": {"schema": _ref("MetricsAccepted")}}},
            **_refusals("400", "401", "413", "415", "422"),
        },
    }


def _post_heartbeat() -> Document:
    return {
        "operationId": "postHeartbeat",
        "summary": "A sign of life",
        "description": "Every 60 s.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Heartbeat")}}},
        "responses": {
            "200": {"description": "Received.", "content": {"application/json": {"schema": _ref("HeartbeatAccepted")}}},
            **_refusals("400", "401", "413", "415", "422"),
        },
    }


_REASONS: Final = {
    "400": "The body is not JSON.",
    "401": "The token is missing or not known.",
    "413": "More metrics or octets than `accepts` allows.",
    "415": "The body is not declared as JSON, or is encoded in a way that `accepts` does not list.",
    "422": "The body is JSON of another shape, or a metric in it is refused; or the key was used with another body before.",
}


def _refusals(*statuses: str) -> Document:
    return {
        status: {"description": _REASONS[status], "content": {"application/json": {"schema": _ref("Refusal")}}}
        for status in statuses
    }


def _schemas(accepts: Accepts) -> Document:
    return {
        "Config": _object(
            {
                "version": {"type": ["string", "null"]},
                "poll_interval_seconds": {"type": ["integer", "null"], "exclusiveMinimum": 0, "default": 60},
                "equipment": {"type": ["array", "null"], "items": _ref("Equipment")},
                "accepts": _ref("Accepts"),
            }
        ),
        "Equipment": _object(
            {
                "id": {"type": "string"},
                "name": {"type": ["string", "null"]},
                "ip_address": {"type": "string", "description": "IPv4, IPv6 or a DNS name."},
                "snmp": _ref("Snmp"),
                "poll_interval_seconds": {"type": ["integer", "null"], "exclusiveMinimum": 0},
                "ping": {
                    "oneOf": [_ref("Ping"), {"type": "null"}],
                    "description": "Extension. Absent or null: it is not pinged.",
                },
                "sensors": {"type": ["array", "null"], "items": _ref("Sensor")},
                "interfaces": {"type": ["array", "null"], "items": _ref("Interface")},
            },
            "id",
            "ip_address",
        ),
        "Snmp": _object(
            {
                "enabled": {"type": ["boolean", "null"], "default": True},
                "version": {"type": ["string", "null"], "default": "2c", "examples": ["1", "2c", "3"]},
                "community": {"type": ["string", "null"], "default": "public"},
                "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535, "default": 161},
                "transport": {"type": ["string", "null"], "default": "udp", "examples": ["udp", "tcp"]},
                "v3_security_level": {"type": ["string", "null"], "examples": ["noAuthNoPriv", "authNoPriv", "authPriv"]},
                "v3_username": {"type": ["string", "null"]},
                "v3_auth_protocol": {"type": ["string", "null"], "examples": ["SHA-256"]},
                "v3_auth_password": {"type": ["string", "null"]},
                "v3_priv_protocol": {"type": ["string", "null"], "examples": ["AES-128"]},
                "v3_priv_password": {"type": ["string", "null"]},
                "v3_context_name": {
                    "type": ["string", "null"],
                    "description": "Extension. Of at most 255 octets.",
                    "default": "",
                },
            }
        ),
        "Ping": _object(
            {
                "enabled": {"type": ["boolean", "null"], "default": False},
                "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 20, "default": 5},
                "interval_seconds": {
                    "type": ["integer", "null"],
                    "exclusiveMinimum": 0,
                    "description": "Absent or null: the device's own interval.",
                },
            },
            description="Extension: whether a device is to be pinged, and how.",
        ),
        "Sensor": _object(
            {
                "id": {"type": "string"},
                "oid": {"type": "string", "examples": ["1.3.6.1.4.1.14988.1.1.3.10.0"]},
                "type": {"type": ["string", "null"]},
                "unit": {"type": ["string", "null"]},
                "divisor": {"type": ["number", "null"], "description": "0, null and 1 mean as read."},
                "metadata": {"type": ["object", "null"]},
            },
            "id",
            "oid",
        ),
        "Interface": _object(
            {
                "id": {"type": "string"},
                "if_index": {"type": "integer", "minimum": 1, "maximum": 2**32 - 1},
                "if_name": {"type": ["string", "null"]},
            },
            "id",
            "if_index",
        ),
        "Accepts": _object(
            {
                "content_encodings": {"type": "array", "items": {"type": "string"}, "examples": [["gzip"]]},
                "max_metrics": {"type": "integer", "default": 1000},
                "max_body_bytes": {"type": "integer", "default": 1 << 20},
                "metric_types": {"type": "array", "items": {"type": "string"}},
            },
            description="Extension: what the server accepts.",
        ),
        "Metrics": _object(
            {
                "metrics": {
                    "type": "array",
                    "maxItems": accepts.max_metrics,
                    "items": {
                        "oneOf": [_ref(_SCHEMA_OF[kind]) for kind in accepts.metric_types if kind in _SCHEMA_OF],
                        "discriminator": {
                            "propertyName": "type",
                            "mapping": {
                                kind: f"#/components/schemas/{_SCHEMA_OF[kind]}"
                                for kind in accepts.metric_types
                                if kind in _SCHEMA_OF
                            },
                        },
                    },
                }
            },
            "metrics",
        ),
        "SensorReading": _object(
            {
                "type": {"const": "sensor_reading"},
                "sensor_id": _ID,
                "value": {
                    "type": "number",
                    "minimum": -_FINITE,
                    "maximum": _FINITE,
                    "description": "The reading over the divisor.",
                },
                "status": {"const": "ok", "default": "ok"},
                "timestamp": _STAMP,
            },
            "type",
            "sensor_id",
            "value",
            "timestamp",
        ),
        "InterfaceStat": _object(
            {
                "type": {"const": "interface_stat"},
                "interface_id": _ID,
                **{f"if_{way}_{what}": _COUNTER for what in ("octets", "errors", "discards") for way in ("in", "out")},
                "timestamp": _STAMP,
            },
            "type",
            "interface_id",
            *(f"if_{way}_{what}" for what in ("octets", "errors", "discards") for way in ("in", "out")),
            "timestamp",
        )
        | {
            "anyOf": [
                {"properties": {"if_in_octets": {"type": "integer"}}},
                {"properties": {"if_out_octets": {"type": "integer"}}},
            ],
            "description": "Raw counters. Left out if neither of the octet counters could be read.",
        },
        "EquipmentStatus": _object(
            {
                "type": {"const": "equipment_status"},
                "equipment_id": _ID,
                "state": {"enum": ["up", "down", "degraded"]},
                "reason": {"type": "string", "examples": ["timeout"]},
                "response_time_ms": {"type": ["number", "null"], "minimum": 0, "maximum": _FINITE},
                "timestamp": _STAMP,
            },
            "type",
            "equipment_id",
            "state",
            "reason",
            "response_time_ms",
            "timestamp",
            description="Extension: a device's state.",
        ),
        "Reachability": _object(
            {
                "type": {"const": "reachability"},
                "equipment_id": _ID,
                "sent": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
                "received": {"type": "integer", "minimum": 0, "description": "At most `sent`."},
                **{f"rtt_{which}_ms": _TIME_MS for which in ("min", "avg", "max")},
                "jitter_ms": {"type": ["number", "null"], "minimum": 0, "maximum": _FINITE},
                "timestamp": _STAMP,
            },
            "type",
            "equipment_id",
            "sent",
            "received",
            "rtt_min_ms",
            "rtt_avg_ms",
            "rtt_max_ms",
            "jitter_ms",
            "timestamp",
            description="Extension: how many pings of a device came back, and after how long.",
        ),
        "Heartbeat": _object(
            {
                "version": {"type": "string"},
                "hostname": {"type": "string"},
                "uptime_seconds": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            },
            "version",
            "hostname",
            "uptime_seconds",
        ),
        "MetricsAccepted": _object(
            {"status": {"const": "accepted"}, "received": {"type": "integer", "minimum": 0}}, "status", "received"
        ),
        "HeartbeatAccepted": _object({"status": {"const": "ok"}}, "status"),
        "Refusal": _object({"error": {"type": "string"}}, "error"),
    }


_SCHEMA_OF: Final = {kind.name: kind.struct.__name__ for kind in KINDS}


def _object(properties: Document, *required: str, description: str = "") -> Document:
    schema: Document = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    if description:
        schema["description"] = description
    return schema


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
