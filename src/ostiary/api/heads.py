"""HEAD is GET without the body (RFC 9110 9.3.2), for whatever can be had with GET."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """ASGI: what is inside sees GET; the client gets the same headers, and no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_head)
