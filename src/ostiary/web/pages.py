"""Templates become pages. Nothing runs in a page but our own scripts, where it asks for them: none inline, none foreign."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup

from ostiary.web import formats, words

# What a page may do in a browser: take its style sheet, show pictures and send forms back to where it came from, nothing else.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC: Final = Path(__file__).with_name("static")
MEDIA_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


def render(template: str, language: str = "en", **values: Any) -> str:
    """A template of `templates/`, filled in. What is filled in is escaped unless the template's name ends in `.txt`."""
    return _environment(language).get_template(template).render(language=language, **values)


def static_file(name: str) -> tuple[bytes, str] | None:
    """The bytes and media type of a file in `static/`; None when there is none of that name."""
    found = _static_files().get(name)
    return (found, MEDIA_TYPES[Path(name).suffix]) if found is not None else None


def static_url(name: str) -> str:
    """Where a static file is, with its content in its address, so that browsers may keep it for ever."""
    return f"/static/{name}?v={hashlib.sha256(_static_files()[name]).hexdigest()[:12]}"


@cache
def _static_files() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in STATIC.iterdir() if file.suffix in MEDIA_TYPES}


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("ostiary.web"),
        autoescape=select_autoescape(("html",), default=False),
        undefined=StrictUndefined,  # a forgotten value is an error, not a gap in the page
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(words.of(language), newstyle=True)  # type: ignore[attr-defined]  # added by i18n
    environment.globals["static"] = static_url
    environment.filters.update(moment=_moment, day=_day, distance=_distance, number=_number, duration=_duration)
    return environment


# Pages in which times are shown say in which zone their reader is (`zone`), and what time it is (`now`).


@pass_context
def _moment(context: Context, at: datetime | None) -> Markup | str:
    return "" if at is None else formats.moment(at, context["language"], context.get("zone", UTC))


@pass_context
def _day(context: Context, at: datetime | None) -> Markup | str:
    return "" if at is None else formats.day(at, context["language"], context.get("zone", UTC))


@pass_context
def _distance(context: Context, at: datetime | None) -> Markup | str:
    return "" if at is None else formats.distance(at, context["now"], context["language"], context.get("zone", UTC))


@pass_context
def _number(context: Context, value: float) -> str:
    return formats.number(value, context["language"])


@pass_context
def _duration(context: Context, of: timedelta) -> str:
    return formats.duration(of, context["language"])
