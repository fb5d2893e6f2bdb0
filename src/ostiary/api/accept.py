"""What a client says it can read (RFC 9110 12.5.1), as far as we need it: whether a media type is admitted."""

from collections.abc import Iterable


def admits(accept: Iterable[str], media_type: str) -> bool:
    """Whether these Accept header values admit the type; no header admits all."""
    ranges = [part.strip() for value in accept for part in value.split(",") if part.strip()]
    if not ranges:
        return True
    weights = dict(map(_range, ranges))
    major = media_type.split("/", maxsplit=1)[0]
    # The most specific range that matches decides.
    for name in (media_type, f"{major}/*", "*/*"):
        if name in weights:
            return weights[name] > 0
    return False


def _range(text: str) -> tuple[str, float]:
    """A media range without its parameters, and its weight."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, float(value)
            except ValueError:
                return name, 0.0
    return name, 1.0
