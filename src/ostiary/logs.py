"""What we write while we run: JSON lines on stderr for machines, coloured lines when a person watches a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal

import structlog

Form = Literal["json", "console"]
FORMS: Final[tuple[Form, ...]] = ("json", "console")
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


# Without the local variables of each frame, which structlog would print by default: they hold keys and tokens.
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


_about: ContextVar[dict[str, Any] | None] = ContextVar("about", default=None)
_always: Final[dict[str, Any]] = {}


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Whatever is written within, in threads that are asked to help too, says this beside. Inner ones add to outer ones."""
    token = _about.set({**(_about.get() or {}), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def also(**fields: Any) -> None:
    """From now on, what is written within the innermost `about` says this too; nothing where there is none."""
    known = _about.get()
    if known is not None:
        known.update(fields)


def always(**fields: Any) -> None:
    """Whatever this process writes says this."""
    _always.update(fields)


def configure(level: str = "info", form: Form | None = None) -> None:
    """Send everything of `level` and above to stderr, ours (structlog) and that of libraries (logging) alike. Once, at start.

    Without a `form`, it is for people where they watch a terminal, and else for machines.
    """
    shared: list[structlog.typing.Processor] = [
        _told_beside,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    readers: list[structlog.typing.Processor]
    if form == "console" or (form is None and sys.stderr.isatty()):
        colors = sys.stderr.isatty()
        readers = [
            structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        readers = [_TRACEBACKS, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *readers],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # A test may configure again.
    )
    _join_libraries(level, shared, readers)


def _told_beside(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**event, **{name: value for name, value in (_always | (_about.get() or {})).items() if name not in event}}


def _join_libraries(level: str, shared: list[structlog.typing.Processor], readers: list[structlog.typing.Processor]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    # `foreign_pre_chain` sees only the libraries' records; ours never pass through `logging`.
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *readers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS[level])
    # Every request of the HTTP clients we use, each step of a migration, each word of the web server would drown what matters.
    for talkative in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(talkative).setLevel(max(LEVELS[level], logging.WARNING))
