"""The OpenAPI document, put together from the endpoints' own declarations; the objects' schemas stand here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rekt.dashboard.formats import TYPES
from rekt.dashboard.parameters import Parameter

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
OPTIONAL: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
OPTIONAL_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DOLLARS: Schema = {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{6}$"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
NUMBER: Schema = {"type": "number"}
SIDE: Schema = {"type": "string", "enum": ["long", "short"]}


class Described(Protocol):
    """What the document needs to know of an endpoint."""

    @property
    def path(self) -> str: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    @property
    def schema(self) -> str: ...
    @property
    def summary(self) -> str: ...


def _object(**properties: Schema) -> Schema:
    properties = {name.rstrip("_"): schema for name, schema in properties.items()}
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False
    }  # fmt: skip


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TALLY = {"count": COUNT, "total_usd": DOLLARS}
MEAN = _maybe(_object(count={"type": "number"}, total_usd=DOLLARS, hours=COUNT))
SCHEMAS: Mapping[str, Schema] = {
    "Liquidation": _object(
        uid={"type": "string", "format": "uuid"}, venue=TEXT, market={"type": "string", "enum": ["linear", "inverse"]},
        symbol=TEXT, side=SIDE, order_side={"type": "string", "enum": ["SELL", "BUY"]}, status=OPTIONAL,
        price=OPTIONAL, average_price=OPTIONAL, price_kind=TEXT, sampling=TEXT, quantity=OPTIONAL,
        filled_quantity=OPTIONAL, notional_usd=OPTIONAL, trade_time=TIME, event_time=OPTIONAL_TIME, received_at=TIME,
    ),
    "Liquidations": _object(items=_list(_ref("Liquidation")), next=OPTIONAL),
    "Largest": _object(
        symbol=TEXT, side=SIDE, notional_usd=DOLLARS, average_price=OPTIONAL, filled_quantity=OPTIONAL,
        trade_time=TIME, venue=TEXT,
    ),
    "Tally": _object(**TALLY),
    "VenueTally": _object(
        venue=TEXT, **TALLY, coverage=SHARE, final={"type": "boolean"}, sampling=OPTIONAL, price_kind=OPTIONAL,
    ),
    "Gap": _object(start=TIME, end=TIME, cause=TEXT, venue=TEXT),
    "Revision": _object(
        hour=TIME, seen=TIME, reason=TEXT, before=_ref("Tally"), after=_ref("Tally"),
    ),
    "Hour": _object(
        hour=OPTIONAL_TIME, from_=TIME, to=TIME, count=COUNT, unknown_count=COUNT, total_usd=DOLLARS,
        largest=_maybe(_ref("Largest")), long=_ref("Tally"), short=_ref("Tally"),
        by_symbol=_list(_object(symbol=TEXT, **TALLY)), by_venue=_list(_ref("VenueTally")),
        coverage=SHARE, gaps=_list(_ref("Gap")), final={"type": "boolean"},
        compared=_object(hour_before=MEAN, mean_24h=MEAN, mean_7d=MEAN),
    ),
    "Quality": _object(
        loss_rate=_list(_object(connection=TEXT, venue=TEXT, told=COUNT, lost=COUNT, loss_rate=SHARE)),
        missed_by_all={"type": ["number", "null"], "minimum": 0},
        lag_ms=_maybe(_object(p50=NUMBER, p95=NUMBER, p99=NUMBER)),
        saturated_count={"type": ["integer", "null"], "minimum": 0},
        saturated=_maybe(_list(_object(
            symbol=TEXT, venue=TEXT, seconds=COUNT, longest_run=COUNT, saturation=SHARE,
        ))),
        revisions=_list(_ref("Revision")),
    ),
    "Buckets": _object(
        from_=TIME, to=TIME, step_seconds=COUNT,
        items=_list(_object(
            from_=TIME, to=TIME, long=_ref("Tally"), short=_ref("Tally"), unknown_count=COUNT, coverage=SHARE,
            largest=_maybe(_ref("Largest")),
        )),
        gaps=_list(_ref("Gap")),
    ),
    "Symbols": _object(
        from_=TIME, to=TIME,
        items=_list(_object(
            venue=TEXT, symbol=TEXT, count=COUNT, unknown_count=COUNT, total_usd=DOLLARS, long=_ref("Tally"),
            short=_ref("Tally"),
            normal=_maybe(_object(percentile={"type": "number", "minimum": 0, "maximum": 100}, stretches=COUNT)),
        )),
    ),
    "Coverage": _object(
        from_=TIME, to=TIME, coverage=SHARE,
        venues=_list(_object(
            venue=TEXT, coverage=SHARE, last_tick=OPTIONAL_TIME, canary_seconds=NUMBER, basis=_list(TEXT),
        )),
        basis=_list(TEXT), gaps=_list(_ref("Gap")),
    ),
    "Status": _object(
        runs=COUNT,
        counters=_object(received=COUNT, control=COUNT, stored=COUNT, duplicate=COUNT, quarantined=COUNT),
        connections=_list(_object(
            id=TEXT, venue=TEXT, url=TEXT, opened=TIME, first_frame=OPTIONAL_TIME, last_frame=OPTIONAL_TIME,
            last_canary=OPTIONAL_TIME, closed=OPTIONAL_TIME, cause=OPTIONAL,
            loss_rate=_maybe(SHARE),
        )),
        recording={"type": "boolean"},
        ledger=_object(path=TEXT, bytes=COUNT, rows=COUNT, last_trade_time=OPTIONAL_TIME),
        sqlite_version=TEXT,
        sink=_maybe(_object(
            running={"type": "boolean"}, url=TEXT, version=OPTIONAL, table=TEXT,
            rows_behind={"type": ["integer", "null"], "minimum": 0}, suspended={"type": "boolean"}, last_error=OPTIONAL,
            last_ack=OPTIONAL_TIME, last_audit=OPTIONAL_TIME, refused={"type": ["integer", "null"], "minimum": 0},
        )),
        posts=_object(
            open=COUNT, spent_usd={"type": "object", "additionalProperties": DOLLARS}, latest=_list(_ref("Outcome")),
        ),
        alerts=_list(_object(name=TEXT, text=TEXT, since=TIME)),
        suspicions=_list(_object(venue=TEXT, kind=TEXT, text=TEXT, since=TIME)),
    ),
    "Outcome": _object(
        service=TEXT, key=TEXT,
        state={"type": "string", "enum": ["pending", "sending", "sent", "unknown", "failed", "skipped"]},
        remote_id=OPTIONAL, reason=OPTIONAL,
    ),
    "Post": _object(
        hour=TIME, text=TEXT, weighted_length=COUNT, would={"type": "string", "enum": ["post", "skip"]},
        reason=OPTIONAL, picture=OPTIONAL, picture_alt=TEXT, picture_lacking=OPTIONAL,
        outcomes=_list(_ref("Outcome")),
    ),
    "Document": {"type": "object"},
    "Health": _object(status=TEXT),
    "Error": _object(error=TEXT, hint=OPTIONAL),
}  # fmt: skip


def _with_quality(hour: Schema, quality: Schema) -> Schema:
    """The object Hour; what Quality adds is left out where it was not asked for."""
    return {**hour, "properties": {**hour["properties"], **quality["properties"]}}


SCHEMAS = {**SCHEMAS, "Hour": _with_quality(SCHEMAS["Hour"], SCHEMAS["Quality"])}
ERRORS = {
    "400": "A parameter is wrong, unknown or given twice.",
    "401": "A token is needed, as `Authorization: Bearer …`.",
    "404": "There is no such thing: the words say why.",
    "406": "No form that is accepted can be had.",
    "414": "The query is too long.",
    "429": "Too many requests.",
    "503": "The ledger can't be read.",
}


def document(endpoints: Iterable[Described], version: str) -> Schema:
    """The whole document."""
    errors = {
        code: {"description": words, "content": {"application/json": {"schema": _ref("Error")}}}
        for code, words in ERRORS.items()
    }
    paths = {endpoint.path: {"get": _operation(endpoint, errors)} for endpoint in endpoints}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rekt",
            "version": version,
            "description": "Liquidations and what they add up to. Amounts are decimal strings, times ISO 8601 in UTC; "
            "null is unknown. Totals are a lower bound: most venues don't tell all; `by_venue` tells what each leaves out "
            "and which price values its events. Live events: "
            "`/api/v1/stream`, server-sent events named `liquidation` (id: its place in the ledger; resumed by "
            "`Last-Event-ID`; `venue` for one venue's alone), `hour` (the object Hour) and `status` (the object Status, connections of a day).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where [DASHBOARD] token is set.",
                }
            },
        },
        "security": [{}, {"token": []}],
    }


def _operation(endpoint: Described, errors: Schema) -> Schema:
    kind = "text/plain; version=0.0.4; charset=utf-8" if endpoint.schema == "Metrics" else "application/json"
    schema = TEXT if endpoint.schema == "Metrics" else _ref(endpoint.schema)
    content: Schema = {kind: {"schema": schema}}
    if endpoint.schema == "Picture":
        content = {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}}
    if endpoint.schema == "Liquidations":
        content |= {name: {"schema": TEXT} for form, name in TYPES.items() if form != "json"}
    return {
        "summary": endpoint.summary,
        "operationId": endpoint.path.rpartition("/")[2].partition(".")[0],
        "parameters": [
            {"name": one.name, "in": "query", "required": False, "description": one.doc, "schema": one.schema}
            for one in endpoint.parameters
        ],
        "responses": {"200": {"description": "The answer.", "content": content}, **errors},
    }
