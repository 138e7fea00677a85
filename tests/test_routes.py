"""Every door of the application says who may pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, RouteContext, iter_route_contexts
from starlette.routing import Mount

from classweave.app import describe
from classweave.core.permissions import GRANTS, Permission
from classweave.core.tenancy import Role
from classweave.web.requests import Allow, AllowInside, Opened, allow

# What is no route of ours, and why anybody may have it.
OPEN_TO_ALL = {
    "/static": "styles, scripts and drawings, the same for everyone",
    "/openapi.json": "the description of the interface, without data",
}


def dependencies(dependant: Dependant) -> Iterator[object]:
    for part in dependant.dependencies:
        yield part.call
        yield from dependencies(part)


def declarations(route: RouteContext) -> list[object]:
    """What a route declares of who may use it."""
    dependant = route.dependant
    return [
        call for call in dependencies(dependant) if isinstance(call, Allow | AllowInside | Opened)
    ]


def undeclared(app: FastAPI) -> list[str]:
    """Routes that do not declare exactly one permission of their kind."""
    wrong: list[str] = []
    for route in iter_route_contexts(app.routes):
        http = isinstance(route.original_route, APIRoute)
        kinds = (Allow, Opened, AllowInside) if http else (AllowInside,)
        if isinstance(route.original_route, APIRoute | APIWebSocketRoute):
            found = declarations(route)
            if len(found) != 1 or not isinstance(found[0], kinds):
                wrong.append(f"{route.path} {route.methods if http else 'WEBSOCKET'}")
        elif route.path not in OPEN_TO_ALL:
            wrong.append(f"{route.path} is a {type(route.original_route).__name__}")
    return wrong


def test_every_route_declares_exactly_one_permission(app: FastAPI) -> None:
    routes = list(iter_route_contexts(app.routes))
    assert len(routes) > 150
    assert any(isinstance(route.original_route, APIWebSocketRoute) for route in routes)
    assert any(isinstance(route.original_route, Mount) for route in routes)
    assert undeclared(app) == []


def test_a_route_that_forgets_is_found() -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")

    @inner.get("/declared", dependencies=[allow(Permission.ANYONE)])
    async def declared() -> None: ...

    @inner.get("/forgotten")
    async def forgotten() -> None: ...

    @inner.get("/twice", dependencies=[allow(Permission.ANYONE), allow(Permission.OPERATE)])
    async def twice() -> None: ...

    @inner.websocket("/socket")
    async def socket() -> None: ...

    @inner.websocket("/wrong", dependencies=[allow(Permission.ANYONE)])
    async def wrong() -> None: ...

    outer.include_router(inner)
    app = FastAPI(openapi_url=None)
    app.include_router(outer)
    app.mount("/else", FastAPI(openapi_url=None))
    assert sorted(undeclared(app)) == [
        "/else is a Mount",
        "/outer/inner/forgotten {'GET'}",
        "/outer/inner/socket WEBSOCKET",
        "/outer/inner/twice {'GET'}",
        "/outer/inner/wrong WEBSOCKET",
    ]


def test_routes_without_a_check_are_few(app: FastAPI) -> None:
    opened = {
        route.path
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute)
        and any(isinstance(call, Opened) for call in declarations(route))
    }
    # The app's worker and manifest, which say nothing of anybody.
    worker = {"/attend/sw.js", "/attend/manifest.webmanifest"}
    assert opened == {"/healthz", "/readyz", "/metrics"} | worker


def test_no_safe_method_hides_a_change(app: FastAPI) -> None:
    """CSRF is checked on unsafe methods, so each of those has a route of its own."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            assert len(set(route.methods or ()) - {"HEAD"}) == 1, route.path


def test_the_table_of_permissions() -> None:
    assert set(GRANTS) == set(Permission)
    granted = {role for roles in GRANTS.values() for role in roles}
    assert granted == set(Role)
    own = {Permission.ANYONE, Permission.SIGNED_IN, Permission.ATTEND_OWN}
    assert {p for p, roles in GRANTS.items() if Role.STUDENT in roles} == own
    assert {p for p, roles in GRANTS.items() if Role.PARTICIPANT in roles} == {
        Permission.ANYONE,
        Permission.SESSION_TAKE_PART,
    }
    for role in (Role.ANONYMOUS, Role.SYSTEM):
        assert {p for p, roles in GRANTS.items() if role in roles} == {Permission.ANYONE}


def test_the_interface_describes_itself() -> None:
    document = describe()
    assert document["info"]["title"] == "Classweave"
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 40
    ids = [operation["operationId"] for *_where, operation in operations]
    assert len(set(ids)) == len(ids)
    for path, method, operation in operations:
        problem = operation["responses"]["default"]["content"]["application/problem+json"]
        assert problem["schema"]["required"] == ["type", "title", "status", "detail"]
        assert "422" not in operation["responses"], (method, path)
        assert operation.get("summary"), (method, path)
    assert not [path for path in document["paths"] if not path.startswith("/api/")]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_of_the_framework_is_served(app: FastAPI, path: str) -> None:
    assert path not in {route.path for route in iter_route_contexts(app.routes)}
