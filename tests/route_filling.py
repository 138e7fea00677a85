"""Fill any route with somebody's identifiers, so that new routes are tried as they come."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

from fastapi import FastAPI, params
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import TypeAdapter

from classweave.core.permissions import Permission
from classweave.web.requests import Allow, AllowInside

# Names in forms and queries that hold an identifier of a kind they do not name.
_BY_NAME = {
    "teacher": "user",
    "student": "student",
    "students": "student",
    "leader": "student",
    "group": "group",
    "from_class": "class",
    "to_class": "class",
    "organization": "org",
    "class": "class",
}


# Good values of fields that are checked by more than their type.
_SAMPLES = {
    "language": "en",
    "locale": "en",
    "timezone": "UTC",
    "subject": "general",
    "role": "teacher",
    "action": "use",
    "birth_year": "2010",
    "data_retention_days": "30",
    "email": "probe@test.invalid",
    "parent_email": "probe@test.invalid",
    "part": "records",
    "last_pulled_at": "1",
    "schema_version": "1",
    "migration": '{"from": 1, "tables": [], "columns": []}',
}

# Bodies of routes that read them by themselves.
_BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/attend/sync"): {
        "changes": {"attendance_records": {"created": [{"id": "probe"}], "deleted": ["probe"]}}
    },
}


@dataclass(frozen=True)
class Filled:
    """One request that can be sent.

    ``permission`` is what every request is checked for; a route that checks ``inside`` knows its
    caller by a token of its own kind.
    """

    method: str
    path: str
    route: str
    permission: Permission | None
    kinds: frozenset[str]
    request: dict[str, Any] = field(default_factory=dict[str, Any])
    inside: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.route}"


def filled_routes(
    app: FastAPI, ids: Mapping[str, str], words: Mapping[str, str]
) -> Iterator[Filled]:
    """Every HTTP route with ``ids`` (by prefix) in its path, query and body.

    ``words`` are values for parts of a path that are no identifiers. Raises :class:`LookupError`
    for a part that neither covers: whoever adds a route of a new kind says here how to fill it.
    """
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for method in sorted(set(route.methods or ()) - {"HEAD"}):
                yield _fill(route, method, ids, words)


def _fill(
    route: RouteContext, method: str, ids: Mapping[str, str], words: Mapping[str, str]
) -> Filled:
    path = route.path or ""
    kinds: set[str] = set()
    for part in route.dependant.path_params:
        schema = _schema(part.field_info)
        prefix = _prefix(schema)
        if prefix:
            kinds.add(prefix)
            value = ids[prefix]
        elif "enum" in schema:
            value = words.get(part.name, schema["enum"][0])
        else:
            value = words[part.name]
        path = path.replace("{" + part.name + "}", str(value))
    request: dict[str, Any] = {}
    query = {
        p.alias: _named(p.alias, _schema(p.field_info), ids) for p in route.dependant.query_params
    }
    if query:
        request["params"] = query
    forms = [p for p in route.dependant.body_params if isinstance(p.field_info, params.Form)]
    uploads = [p for p in forms if isinstance(p.field_info, params.File)]
    plain = {
        p.alias: _named(p.alias, _schema(p.field_info), ids) for p in forms if p not in uploads
    }
    if uploads:
        request["files"] = {p.alias: ("a.csv", b"Ada\n", "text/csv") for p in uploads}
    if plain:
        request["data"] = plain
    elif method == "POST" and not path.startswith("/api/"):
        # A page that reads its form by itself: every name that might hold an identifier.
        request["data"] = {name: ids[kind] for name, kind in _BY_NAME.items()} | {
            f"{kind}_id": value for kind, value in ids.items()
        }
    elif route.dependant.body_params and not forms:
        body = route.dependant.body_params[0]
        request["json"] = _example(_schema(body.field_info), ids)
    elif sample := _BODIES.get((method, route.path or "")):
        request["json"] = sample
    calls = [d.call for d in route.dependant.dependencies]
    permission = next((call.permission for call in calls if isinstance(call, Allow)), None)
    inside = any(isinstance(call, AllowInside) for call in calls)
    return Filled(method, path, route.path or "", permission, frozenset(kinds), request, inside)


def _schema(info: Any) -> dict[str, Any]:
    annotation = info.annotation
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"enum": [member.value for member in annotation]}
    if get_origin(annotation) is Literal:
        return {"enum": list(get_args(annotation))}
    whole: Any = Annotated[(annotation, *info.metadata)] if info.metadata else annotation
    try:
        return TypeAdapter(whole).json_schema(mode="validation")
    except Exception:  # an upload has no schema
        return {"type": "string"}


def _prefix(schema: Mapping[str, Any]) -> str | None:
    pattern = str(schema.get("pattern", ""))
    return pattern[1:].partition("_")[0] if pattern.endswith("{25}$") else None


def _named(name: str, schema: Mapping[str, Any], ids: Mapping[str, str]) -> Any:
    """A form's or query's value: an identifier where the name asks for one."""
    key = name.removesuffix("_id").removesuffix("_ids")
    wanted = _BY_NAME.get(key, key)
    if wanted in ids and schema.get("type") not in ("boolean", "integer"):
        return [ids[wanted]] if schema.get("type") == "array" else ids[wanted]
    return _example(schema, ids, name=name)


def _example(
    schema: Mapping[str, Any],
    ids: Mapping[str, str],
    defined: Mapping[str, Any] | None = None,
    name: str = "",
) -> Any:
    """A value that meets a JSON schema, with the given identifiers wherever one is asked for."""
    defined = schema.get("$defs", defined) or {}
    if "$ref" in schema:
        return _example(defined[schema["$ref"].rpartition("/")[2]], ids, defined, name)
    if "anyOf" in schema:
        choices = [s for s in schema["anyOf"] if s.get("type") != "null"]
        return _example(choices[0], ids, defined, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    prefix = _prefix(schema)
    if prefix:
        return ids[prefix]
    match schema.get("type"):
        case "object":
            return {
                key: _example(part, ids, defined, key)
                for key, part in schema.get("properties", {}).items()
            }
        case "array":
            return [_example(schema["items"], ids, defined, name)] if "items" in schema else []
        case "integer" | "number":
            return max(1, schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
        case _:
            return _SAMPLES.get(name) or _text(schema)


def _text(schema: Mapping[str, Any]) -> str:
    match schema.get("format"):
        case "date-time":
            return "2030-01-01T10:00:00Z"
        case "date":
            return "2030-01-01"
    return "probe" * (1 + schema.get("minLength", 0) // 5)
