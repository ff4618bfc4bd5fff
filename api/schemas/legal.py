"""What is legal for a value of a request, in words, read from the OpenAPI document."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import Request

Schema = Mapping[str, Any]
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "mapping",
    "null": "null",
}
_BOUNDS = (
    ("minimum", "from {:g}"),
    ("exclusiveMinimum", "above {:g}"),
    ("maximum", "up to {:g}"),
    ("exclusiveMaximum", "below {:g}"),
    ("maxLength", "of up to {} characters"),
    ("pattern", "matching {}"),
)


def legal_values(request: Request, place: str, names: Sequence[str]) -> str | None:
    """What the field `names` in body, query, path or header may be; None where nothing says."""
    document: Schema = request.app.openapi()
    route = request.scope.get("route")
    operation = document["paths"].get(getattr(route, "path", ""), {}).get(request.method.lower())
    if not operation:
        return None
    if place == "body":
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
    else:
        schema = _parameter(operation, place, names)
        names = names[1:]
    return _walk(document, schema, names) if schema else None


def _parameter(operation: Schema, place: str, names: Sequence[str]) -> Schema | None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == place and parameter["name"].lower() == names[0].lower():
            return parameter["schema"]  # type: ignore[no-any-return]
    return None


def _walk(document: Schema, schema: Schema, names: Sequence[str]) -> str | None:
    for name in names:
        inner = next(_inside(document, schema, name), None)
        if inner is None:
            known = ", ".join(sorted(_resolved(document, schema).get("properties", ())))
            return f"one of the names {known}" if known else None
        schema = inner
    return _words(document, schema)


def _inside(document: Schema, schema: Schema, name: str) -> Iterator[Schema]:
    schema = _resolved(document, schema)
    for choice in schema.get("anyOf", ()):
        yield from _inside(document, choice, name)
    if name in schema.get("properties", {}):
        yield schema["properties"][name]
    if name.isdigit() and "items" in schema:
        yield schema["items"]


def _words(document: Schema, schema: Schema) -> str:
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        return " or ".join(_words(document, choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return "list of " + (_words(document, schema["items"]) if "items" in schema else "values")
    kind = _KINDS.get(schema.get("type", ""), "value")
    bounds = [words.format(schema[name]) for name, words in _BOUNDS if name in schema]
    return " ".join([kind, *bounds])


def _resolved(document: Schema, schema: Schema) -> Schema:
    while reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return schema
