"""The description of the HTTP API (OpenAPI 3.1), made from the table that its routes are made from."""

from __future__ import annotations

from typing import Any

from cordboard.server.openapi_operations import OPERATIONS, UNAUTHORIZED, Answer, Operation, Parameter
from cordboard.server.openapi_schemas import SCHEMAS, ref

Data = dict[str, Any]

VERSION = "1.0.0"
"""Of the API."""
_SECURITY: list[Data] = [{"basic": []}, {"bearer": []}]


def describe() -> Data:
    """The whole description.  Anybody may read it, so it does not say which server this is."""
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Cordboard",
            "version": VERSION,
            "description": "Calls of one project: made, commanded, listed and explained.",
        },
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "Project and token."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token alone."},
            },
        },
    }


def _paths() -> Data:
    paths: Data = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> Data:
    answers = operation.answers if operation.is_public else {**operation.answers, 401: UNAUTHORIZED}
    made: Data = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {str(status): _answer(answers[status]) for status in sorted(answers)},
    }
    if operation.about:
        made["description"] = operation.about
    if operation.is_public:
        made["security"] = []
        made["responses"] = {"200": {"description": "OpenAPI 3.1", "content": {"application/json": {}}}}
    if operation.bodies is not None:
        examples = {name: {"value": body} for name, body in operation.bodies.items()}
        content = {"application/json": {"schema": ref("Command"), "examples": examples}}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _parameter(parameter: Parameter) -> Data:
    return {
        "name": parameter.name,
        "in": "path" if parameter.in_path else "query",
        "required": parameter.in_path,
        "description": parameter.about,
        "schema": parameter.schema,
    }


def _answer(answer: Answer) -> Data:
    content: Data = {"schema": ref(answer.schema)}
    if answer.example is not None:
        content["example"] = answer.example
    return {"description": answer.about, "content": {"application/json": content}}
