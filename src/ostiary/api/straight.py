"""From a request straight to the function of its route. The framework's own way is for routes of every kind; ours are of one.

A route of ours is a function of the system, the caller, the request, its body and parts of its path, and may be called once
its declaration says so (`api.declared`). To find it among some 180, by one pattern after the other, and to solve what it depends
on anew for each request, takes a good part of what issuing a certificate does (docs/decisions/0030-what-a-certificate-costs.md).
"""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary.api.declared import Raw, Sys, Who, asked_raw, asked_system, asked_who, declaration

_PARTS: Final = {Sys: asked_system, Who: asked_who, Raw: asked_raw}


class Straight:
    """ASGI: calls the function of the route that fits, if it is one of ours. Everything else is the framework's, errors too."""

    def __init__(self, routes: Iterable[BaseRoute], otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        self._by_beginning: dict[tuple[str, ...], list[tuple[int, APIRoute, ASGIApp]]] = {}
        for place, route in enumerate(routes):
            assert isinstance(route, APIRoute)  # noqa: S101 (for the type checker; there are no others)
            self._by_beginning.setdefault(_beginning(route.path), []).append((place, route, called(route)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route, call in self._candidates(scope["path"]):
                match, news = route.matches(scope)
                if match is Match.FULL:
                    scope.update(news)
                    await call(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)

    def _candidates(self, path: str) -> Iterable[tuple[APIRoute, ASGIApp]]:
        """The routes whose path begins as this one does, in their order: that of two that fit, the first is taken, stays true."""
        segments = tuple(path.split("/"))
        found = [one for end in range(len(segments) + 1) for one in self._by_beginning.get(segments[:end], ())]
        return ((route, call) for _, route, call in sorted(found, key=lambda one: one[0]))


def _beginning(path: str) -> tuple[str, ...]:
    """The segments of a route's path before the first that differs from request to request."""
    segments = path.split("/")
    return tuple(segments[: next((place for place, segment in enumerate(segments) if "{" in segment), len(segments))])


def called(route: APIRoute) -> ASGIApp:
    """The route as an application: asks whether the caller may, and only then reads the body and calls its function.

    One that is not async is called in a thread.
    """
    endpoint, is_async = route.endpoint, inspect.iscoroutinefunction(route.endpoint)
    declared = declaration(route.dependencies)
    assert declared is not None, route.path  # noqa: S101 (said at start, not at the first request)
    assert len(route.dependencies) == 1, route.path  # noqa: S101 (what else it depends on would not be asked)
    makers: dict[str, Callable[[Request], Any]] = {}
    parts = []
    for name, parameter in inspect.signature(endpoint).parameters.items():
        if parameter.annotation is Request:
            makers[name] = _itself
        elif parameter.annotation in _PARTS:
            makers[name] = _PARTS[parameter.annotation]
        else:
            assert name in route.param_convertors, (route.path, name)  # noqa: S101 (likewise)
            parts.append(name)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        await declared(request)
        given = {name: await make(request) for name, make in makers.items()}
        given |= {name: scope["path_params"][name] for name in parts}
        response = await (endpoint(**given) if is_async else run_in_threadpool(partial(endpoint, **given)))
        await response(scope, receive, send)

    return app


async def _itself(request: Request) -> Request:
    return request
