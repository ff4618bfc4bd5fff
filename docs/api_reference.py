"""Writes docs/api-reference.md, every operation of the HTTP API, from its OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.main import create_app

HEAD = """# The HTTP API

Written by `python -m docs.api_reference` from the service's own `/openapi.json`; a test compares,
sends every example and checks every answer. `/docs` shows the same with forms to try it.

```sh
curl -s http://127.0.0.1:8000/api/v1/process-video -H 'Content-Type: application/json' \\
     -H 'Idempotency-Key: final-2026' -d '{"video_path": "cup/final.mp4"}'
```

- `video_path` lies below one of the folders in ML_PIPELINE_VIDEO_ROOTS, or is what an upload
  answered. The other fields of a submission are in [options.md](options.md).
- Errors are problem documents (RFC 9457, `application/problem+json`): `type` names the kind,
  `detail` says what to do, `errors` names each wrong field with its value and what is legal.
- 503 comes with `Retry-After`: what was asked for can be asked again. A POST of a match is repeated
  without harm when it carries an `Idempotency-Key`.
- `next` in a page is the path of the page after it.
"""
_METHODS = ("get", "post", "delete")
Document = Mapping[str, Any]


def page() -> str:
    """The whole page."""
    document = create_app().openapi()
    return "\n".join([HEAD, *_operations(document)])


def _operations(document: Document) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _section(f"{method.upper()} {path}", methods[method])


def _section(title: str, operation: Document) -> str:
    parts = [f"## {title}", operation.get("description", operation["summary"]), ""]
    if parameters := operation.get("parameters"):
        rows = (_parameter(each) for each in parameters)
        parts += ["| parameter | in | legal | |\n|---|---|---|---|", *rows, ""]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts += _request(media, content)
    parts += ["| answer | | media types |\n|---|---|---|"]
    parts += [_answer(status, each) for status, each in sorted(operation["responses"].items())]
    return "\n".join([*parts, "", *_example(operation)])


def _parameter(parameter: Document) -> str:
    star = " (required)" if parameter.get("required") else ""
    legal = _legal(parameter["schema"])
    name, place = parameter["name"], parameter["in"]
    return f"| {name}{star} | {place} | {legal} | {parameter.get('description', '')} |"


def _legal(schema: Document) -> str:
    if "anyOf" in schema:
        choices = [_legal(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(choices)
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    words = ", ".join(map(str, schema["enum"])) if "enum" in schema else schema.get("type", "")
    bounds = [
        f"{sign} {schema[name]:g}"
        for sign, name in (("≥", "minimum"), ("≤", "maximum"))
        if name in schema
    ]
    default = f"default {schema['default']}" if schema.get("default") not in (None, "") else ""
    return ", ".join(filter(None, [words, *bounds, default]))


def _request(media: str, content: Document) -> Iterator[str]:
    yield f"Body: `{media}`"
    for name, example in content.get("examples", {}).items():
        yield f"\nExample ({name}):\n\n{_json(example['value'])}"
    yield ""


def _answer(status: str, answer: Document) -> str:
    media = ", ".join(f"`{name}`" for name in answer.get("content", {}))
    return f"| {status} | {answer['description']} | {media} |"


def _example(operation: Document) -> Iterator[str]:
    for status, answer in sorted(operation["responses"].items()):
        if status.startswith("2"):
            for content in answer.get("content", {}).values():
                if "example" in content:
                    yield f"{status}:\n\n{_json(content['example'])}\n"


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2)}\n```"


if __name__ == "__main__":
    Path(__file__).with_name("api-reference.md").write_text(page(), encoding="utf-8")
