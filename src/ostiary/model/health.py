"""A health monitor: how a pool's members are asked whether they can serve."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from ostiary.model.fields import setting
from ostiary.model.resource import Configured

MonitorType = Literal["HTTP", "HTTPS", "TCP"]
_CODES = re.compile(r"^[1-5][0-9]{2}(?:-[1-5][0-9]{2}|(?:\s*,\s*[1-5][0-9]{2})*)$")


def status_ranges(expected_codes: str) -> tuple[tuple[int, int], ...]:
    """Octavia's "200", "200, 202" or "200-204" as half-open ranges, as Envoy's Int64Range has them."""
    if "-" in expected_codes:
        first, last = expected_codes.split("-")
        return ((int(first), int(last) + 1),)
    return tuple((int(code), int(code) + 1) for code in expected_codes.split(","))


def _expected_codes(text: str) -> str:
    if not _CODES.match(text) or any(first >= end for first, end in status_ranges(text)):
        raise ValueError(f"'{text}' is not a status, a list such as 200, 202, or a range such as 200-204")
    return text


class HealthMonitor(Configured):
    """One per pool. Octavia: health monitor."""

    pool_id: str = setting("", "The pool whose members it asks.", fixed=True)
    type: MonitorType = setting(description="How it asks.", fixed=True, label="Health check")
    delay: Annotated[int, Field(ge=1, le=86_400)] = setting(description="Time between questions.", unit="s", label="Interval")
    timeout: Annotated[int, Field(ge=1, le=86_400)] = setting(description="Time allowed for an answer.", unit="s")
    max_retries: Annotated[int, Field(ge=1, le=10)] = setting(
        description="Good answers in a row until a member serves again.", label="Healthy after"
    )
    max_retries_down: Annotated[int, Field(ge=1, le=10)] = setting(
        3, "Bad answers in a row until a member is taken out.", label="Unhealthy after"
    )
    http_method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] = setting(
        "GET", "Method of the request.", label="HTTP method"
    )
    url_path: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$", max_length=2048)] = setting(
        "/", "Path of the request.", label="Path"
    )
    expected_codes: Annotated[str, StringConstraints(max_length=64), AfterValidator(_expected_codes)] = setting(
        "200", "Statuses that count as well: 200, or 200,202, or 200-204.", label="Expected codes"
    )
    http_version: Annotated[float, Field(ge=1.0, le=1.1)] | None = setting(
        None, "Kept for OpenStack clients; members are asked in HTTP/1.1."
    )
    domain_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.\-]{1,255}$")] | None = setting(
        None, "Host header of the request.", label="Host"
    )
