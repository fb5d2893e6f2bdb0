"""What a request passes through on its way to a member, in order. The order is behaviour; the reasons stand beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from ostiary.envoy import access, apart, identity_headers, names, wire
from ostiary.model.listener import InsertableHeader, Listener

# Shared by the Lua headers: the certificate, only if the handshake verified it.
_VERIFIED: Final = """\
local function verified(handle)
  local tls = handle:streamInfo():downstreamSslConnection()
  if tls ~= nil and tls:peerCertificateValidated() then return tls end
end
local function unescaped(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end
local function byte_sequences(pems)
  local sequences = {}
  for body in unescaped(pems):gmatch("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END CERTIFICATE%-%-%-%-%-") do
    table.insert(sequences, ":" .. body:gsub("%s", "") .. ":")
  end
  return sequences
end
"""

# What Envoy has no formatter for. Each value is nil when there is nothing to say.
_LUA: Final[dict[InsertableHeader, str]] = {
    # The common name comes raw: anything but plain ASCII is escaped as in RFC 4514, so that it cannot break out of its header.
    "X-SSL-Client-CN": """\
  local subject = tls:parsedSubjectPeerCertificate()
  local name = subject and subject:commonName() or ""
  return name ~= "" and name:gsub('[^ -~]', function(c) return string.format("\\\\%02X", c:byte()) end) or nil""",
    # RFC 9440 2.2: the certificate as a byte sequence of RFC 8941.
    "Client-Cert": "  return byte_sequences(tls:urlEncodedPemEncodedPeerCertificate())[1]",
    # RFC 9440 2.3: the rest of the chain as the client sent it; a client may have sent more than was needed to verify it.
    "Client-Cert-Chain": """\
  local chain = byte_sequences(tls:urlEncodedPemEncodedPeerCertificateChain())
  table.remove(chain, 1)
  return #chain > 0 and table.concat(chain, ", ") or nil""",
}


def _brought_by_routes(listener: Listener) -> Any | None:
    return access.waiting() if listener.is_tls else None


def _identity_trailers(_listener: Listener) -> Any:
    mutations = header_mutation_pb2.Mutations(request_trailers_mutations=[identity_headers.removal()])
    return header_mutation_pb2.HeaderMutation(mutations=mutations)


def _certificate_headers(listener: Listener) -> Any | None:
    wanted = [header for header in _LUA if identity_headers.asked(listener, header)]
    if not listener.is_tls or listener.client_authentication == "NONE" or not wanted:
        return None
    functions = "".join(f'headers["{header}"] = function(tls)\n{_LUA[header]}\nend\n' for header in wanted)
    code = f"""{_VERIFIED}local headers = {{}}
{functions}function envoy_on_request(handle)
  local tls = verified(handle)
  if tls == nil then return end
  for header, value_of in pairs(headers) do
    local value = value_of(tls)
    if value ~= nil then handle:headers():replace(header, value) end
  end
end
"""
    return lua_pb2.Lua(default_source_code=base_pb2.DataSource(inline_string=code))


def _router(_listener: Listener) -> Any:
    # Members are told nothing of Envoy's own workings, and clients cannot give it orders by x-envoy-* headers.
    router = router_pb2.Router(suppress_envoy_headers=True)
    # A pool's statistics by status code, which nobody reads (gateway.numbers). With them 1.1 µs more of 51.5 a request
    # (request_cost: "with statistics by status").
    router.dynamic_stats.value = False
    return router


@dataclass(frozen=True)
class _Apart:
    """Stands here for a filter whose content travels apart (`envoy.apart`), under a name that hangs on the listener."""

    name: Callable[[Listener], str]
    when: Callable[[Listener], bool]


_FILTERS: Final = (
    # First: who must not come in at all takes up no more of our time. These stand here also while routes bring nothing for them,
    # so that the first rule or Client CA need not change the chain, which would drain connections.
    ("denied", _Apart(lambda _: names.denied(rehearsed=False), lambda listener: listener.is_tls)),
    # A rehearsal has both: switched to MANDATORY, it refuses on connections that are open still.
    ("denied, rehearsed", _Apart(lambda _: names.denied(rehearsed=True), lambda one: one.client_authentication == "REHEARSAL")),
    # Expired since the handshake, names that could be read as several, meant for another host: before any rule reads a name.
    (access.GUARD, _brought_by_routes),
    # Who is in which group, for the rules after it: the long table, then what changed lately.
    # Also where no certificate is asked for: connections from before drain, and would be answered 500 once it is gone.
    ("members", _Apart(lambda listener: names.members(listener.id), lambda listener: listener.is_tls)),
    (access.RECENT, _brought_by_routes),
    (access.ACCESS, _brought_by_routes),
    # Before what reads headers: no later filter may see an identity that a client wrote into its trailers.
    ("envoy.filters.http.header_mutation", _identity_trailers),
    # Only when asked for, as it costs about 18 µs a request; after the removal of forged headers, which is earlier still.
    ("envoy.filters.http.lua", _certificate_headers),
    # Last, as Envoy demands: it sends the request away.
    ("envoy.filters.http.router", _router),
)


def http_filters(listener: Listener) -> list[Any]:
    """The listener's HTTP filters (http_connection_manager.v3.HttpFilter)."""
    made = (_filter(name, make, listener) for name, make in _FILTERS)
    return [one for one in made if one is not None]


def _filter(name: str, make: Callable[[Listener], Any | None] | _Apart, listener: Listener) -> Any | None:
    if isinstance(make, _Apart):
        return apart.waiting(make.name(listener)) if make.when(listener) else None
    config = make(listener)
    if config is None:
        return None
    made = http_connection_manager_pb2.HttpFilter(name=name, typed_config=wire.packed(config))
    # Envoy makes a filter anew for each request, at 0.5 to 1 µs; what stands here for the routes alone, it makes only for those
    # whose route brings it something. Always made, those that routes bring nothing for cost 1.2 µs more of 51.5 a request
    # (request_cost: "with each filter always").
    made.disabled = make is _brought_by_routes
    return made
