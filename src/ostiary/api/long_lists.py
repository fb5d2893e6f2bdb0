"""A page of a list as JSON, each item written as soon as it is made: of a thousand, never all are in memory in three forms."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.responses import Response


def reply(many: str, items: Iterable[Mapping[str, Any] | bytes], links: list[dict[str, str]]) -> Response:
    """The items under their name, and where the pages beside this one are. What is bytes is JSON already."""
    listed = b",".join(item if isinstance(item, bytes) else _written(item) for item in items)
    content = b'{"%s":[%s],"%s_links":%s}' % (many.encode(), listed, many.encode(), _written(links))
    return Response(content, media_type="application/json")


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
