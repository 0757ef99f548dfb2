"""The description of the HTTP API is complete, and its examples are as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types of its own

from cordboard.relay.methods.reading import METHODS
from cordboard.server.calling_api import CallingApi
from cordboard.server.calling_api_dial import plan_of, routed_of
from cordboard.server.calling_api_params import DIAL, UPDATE, checked
from cordboard.server.http_server import HttpServer
from cordboard.server.openapi import describe
from cordboard.server.openapi_operations import OPERATIONS
from cordboard.server.openapi_schemas import SCHEMAS
from cordboard.server.projects import Projects

DESCRIPTION = describe()


class Routes(HttpServer):
    """Notes what is added."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0)
        self.added: list[tuple[str, str]] = []

    def add(self, method: str, path: str, handler: Any) -> None:
        super().add(method, path, handler)
        self.added.append((method, path))


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body that is described, with its place."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                yield f"{method} {path} {status}", response["content"]["application/json"]
            if "requestBody" in operation:
                yield f"{method} {path} body", operation["requestBody"]["content"]["application/json"]


def examples() -> Iterator[Any]:
    for place, content in contents():
        if "example" in content:
            yield pytest.param(content["schema"], content["example"], id=place)
        for name, example in content.get("examples", {}).items():
            yield pytest.param(content["schema"], example["value"], id=f"{place} {name}")


async def test_every_route_is_described_and_every_description_is_served() -> None:
    routes = Routes()
    CallingApi(Projects({})).add_to(routes)
    described = [
        (method.upper(), path) for path, methods in DESCRIPTION["paths"].items() for method in methods
    ]
    assert sorted(routes.added) == sorted(described)
    assert len(described) == len(OPERATIONS)


@pytest.mark.parametrize(("schema", "example"), list(examples()))
def test_an_example_is_as_its_schema_says(schema: dict[str, Any], example: Any) -> None:
    whole = {**schema, "components": DESCRIPTION["components"]}
    Draft202012Validator(whole).validate(example)


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_schema_is_one_and_its_references_lead_somewhere(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    for target in re.findall(r"'#/components/schemas/(\w+)'", repr(SCHEMAS[name])):
        assert target in SCHEMAS


def test_what_an_operation_needs_is_there() -> None:
    ids = [operation.id for operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    for operation in OPERATIONS:
        assert set(re.findall(r"{(\w+)}", operation.path)) == {
            p.name for p in operation.parameters if p.in_path
        }
        if not operation.is_public:
            responses = DESCRIPTION["paths"][operation.path][operation.method.lower()]["responses"]
            assert {"200", "401"} <= set(responses)


def test_examples_of_commands_can_be_carried_out() -> None:
    operation = next(operation for operation in OPERATIONS if operation.id == "command")
    for body in (operation.bodies or {}).values():
        if body["command"] == "dial":
            params = checked(body["params"], DIAL)
            assert not plan_of(params).warnings
            routed_of(params)
        elif body["command"] == "update":
            routed_of(checked(body["params"], UPDATE))
        else:
            assert body["command"] in METHODS


@pytest.mark.parametrize(
    "body",
    [
        {"command": "dial"},
        {"command": "dial", "params": {"to": "+1", "from": "+1"}},
        {"command": "dial", "params": {"to": "+1", "from": "+1", "url": "http://h/", "swml": {}}},
        {"command": "dial", "params": {"to": "+1", "from": "+1", "url": "http://h/", "tiemout": 3}},
        {"command": "calling.dial", "id": "c"},
        {"command": "calling.end"},
        {"command": "fly", "id": "c"},
    ],
)
def test_the_schema_refuses_what_the_server_refuses(body: dict[str, Any]) -> None:
    whole = {"$ref": "#/components/schemas/Command", "components": DESCRIPTION["components"]}
    assert not Draft202012Validator(whole).is_valid(body)
