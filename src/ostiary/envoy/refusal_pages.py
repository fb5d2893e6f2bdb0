"""What a client reads that was refused: enough to act on, and nothing of the inside.

A problem document (RFC 9457), or a small page for browsers. Both hold a reference, by which the operator finds the refusal and
its reason (`ostiary denials --reference`). Envoy asks the mappers about answers that it makes itself only, so what members answer
costs nothing.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import base_pb2, substitution_format_string_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.type.matcher.v3 import string_pb2

from ostiary.access.words import PUBLIC
from ostiary.envoy import wire

Format: Final = substitution_format_string_pb2.SubstitutionFormatString


@dataclass(frozen=True)
class _Answer:
    """What is answered where `condition`, an expression, holds: the words for each of these codes."""

    condition: str
    codes: tuple[str, ...]
    status: int
    title: str
    vietnamese: str


# When the request began, in milliseconds: what the access log says of it too.
_REFERENCE: Final = "%START_TIME(%s%3f)%"
_OURS: Final = "rbac_access_denied_matched_policy["
_ELSEWHERE: Final = "misdirected"
_USUAL: Final = "no_rule_allows"

# The sentences of `access.words.PUBLIC`.
_VIETNAMESE: Final[dict[str, str]] = {
    "revoked": "Chứng chỉ của bạn không còn được chấp nhận.",
    "expired": "Chứng chỉ của bạn đã hết hạn. Hãy gia hạn rồi kết nối lại.",
    "authority_removed": "Chứng chỉ của bạn không còn được chấp nhận. Hãy xin chứng chỉ mới.",
    "certificate_required": "Dịch vụ này yêu cầu chứng chỉ của máy khách. Hãy chọn chứng chỉ của bạn rồi kết nối lại.",
    "misdirected": "Kết nối này được mở cho một máy chủ khác. Hãy mở kết nối mới.",
    "malformed": "Chứng chỉ của bạn, hoặc địa chỉ bạn yêu cầu, không thể được chấp nhận. Hãy xin chứng chỉ mới.",
    "no_rule_allows": "Bạn không được phép thực hiện yêu cầu này.",
    "denied_by_rule": "Bạn không được phép thực hiện yêu cầu này.",
    "source_not_allowed": "Yêu cầu này không được phép từ nơi bạn kết nối.",
}

# Nothing from outside, and no script.
_PAGE: Final = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color:#1b1f24;background:#fff}}
small{{color:#57606a}}@media(prefers-color-scheme:dark){{body{{color:#e6edf3;background:#0d1117}}small{{color:#8b949e}}}}</style></head>
<body><main><h1>{title}</h1><p>{english}</p>
<section lang="vi"><h2>{vietnamese_title}</h2><p>{vietnamese}</p></section>
<p><small>{status} · reference {reference}</small></p></main></body></html>
"""


def local_replies() -> Any:
    """What is answered in place of Envoy's own words, when it was us who refused (LocalReplyConfig)."""
    elsewhere = _Answer(_is(_ELSEWHERE), (_ELSEWHERE,), 421, "Misdirected Request", "Sai địa chỉ")
    forbidden = _Answer(_is(""), tuple(code for code in PUBLIC if code != _ELSEWHERE), 403, "Forbidden", "Không được phép")
    return http_connection_manager_pb2.LocalReplyConfig(
        mappers=[_mapper(answer, for_browsers=browser) for answer in (elsewhere, forbidden) for browser in (True, False)]
    )


def _mapper(answer: _Answer, *, for_browsers: bool) -> Any:
    asked = [_holds(answer.condition)]
    if for_browsers:
        asked.insert(0, _accepts_html())
    both = accesslog_pb2.AccessLogFilter(and_filter=accesslog_pb2.AndFilter(filters=asked))
    return http_connection_manager_pb2.ResponseMapper(
        filter=both if for_browsers else asked[0],
        status_code=wire.number(answer.status),
        body_format_override=_page(answer) if for_browsers else _problem(answer),
        headers_to_add=[base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key="cache-control", value="no-store"))],
    )


def _holds(condition: str) -> Any:
    config = cel_pb2.ExpressionFilter(expression=condition)
    extension = accesslog_pb2.ExtensionFilter(name="envoy.access_loggers.extension_filters.cel", typed_config=wire.packed(config))
    return accesslog_pb2.AccessLogFilter(extension_filter=extension)


def _accepts_html() -> Any:
    matcher = string_pb2.StringMatcher(contains="text/html", ignore_case=True)
    header = route_components_pb2.HeaderMatcher(name="accept", string_match=matcher)
    return accesslog_pb2.AccessLogFilter(header_filter=accesslog_pb2.HeaderFilter(header=header))


def _problem(answer: _Answer) -> Any:
    form = Format(content_type="application/problem+json")
    said = {"type": "about:blank", "title": answer.title, "status": answer.status, "detail": _sentence(PUBLIC, answer.codes)}
    form.json_format.update({**said, "reference": _REFERENCE})
    return form


def _page(answer: _Answer) -> Any:
    text = _PAGE.format(
        title=html.escape(answer.title),
        vietnamese_title=html.escape(answer.vietnamese),
        status=answer.status,
        english=_sentence(PUBLIC, answer.codes),
        vietnamese=_sentence(_VIETNAMESE, answer.codes),
        reference=_REFERENCE,
    )
    return Format(content_type="text/html; charset=utf-8", text_format_source=base_pb2.DataSource(inline_string=text))


def _sentence(sentences: Mapping[str, str], codes: tuple[str, ...]) -> str:
    """The sentence that belongs to the code, chosen when the answer is made: one mapper then does for all of them.

    The most frequent one does for what is not among them.
    """
    usual = sentences[_USUAL if _USUAL in codes else codes[0]]
    chosen = f"'{usual}'"
    for code in codes:
        if sentences[code] != usual:
            chosen = f"{_is(code)} ? '{sentences[code]}' : {chosen}"
    return f"%CEL({chosen})%" if len(codes) > 1 else usual


def _is(code: str) -> str:
    # Behind it may stand the rule that decided. No code is the beginning of another.
    return f"response.code_details.contains('{_OURS}{code}')"
