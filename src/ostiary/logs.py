"""What we write while we run: JSON lines on stderr for machines, coloured lines when a person watches a terminal."""

import logging
import sys
from typing import Final

import structlog

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


# Without the local variables of each frame, which structlog would print by default: they hold keys and tokens.
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(level: str = "info") -> None:
    """Send everything of `level` and above to stderr, ours (structlog) and that of libraries (logging) alike. Once, at start."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    readers: list[structlog.typing.Processor]
    if sys.stderr.isatty():
        readers = [structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=structlog.dev.plain_traceback)]
    else:
        readers = [_TRACEBACKS, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *readers],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # A test may configure again.
    )
    _join_libraries(level, shared, readers)


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
