"""What gateways count, under names that both sides know: a keeper tells them by name, so versions may differ."""

from typing import Final

# Upper ends of how long requests take, in milliseconds: those of Envoy's own histograms, as far as anybody waits.
LATENCIES: Final = (0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0)
# What can go wrong in a handshake. Each failure is counted once: a chain that was judged, and found wanting, is no other error.
HANDSHAKE_FAILURES: Final = (
    "connection_error",
    "fail_verify_error",
    "fail_verify_no_cert",
    "fail_verify_san",
    "fail_verify_cert_hash",
)
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")

# Of a listener, and never less than before while one Envoy runs. `latency_` and a number: requests that took so many ms or less.
COUNTERS: Final = (
    "connections",
    "connections_limited",
    "connections_drained",
    "received_bytes",
    "sent_bytes",
    "handshakes",
    *(f"failed_{failure}" for failure in HANDSHAKE_FAILURES),
    "requests",
    "admitted",
    *(f"responses_{one}" for one in CLASSES),
    *(f"latency_{end:g}" for end in LATENCIES),
    "latency_count",
    "latency_sum",
)
# Of a listener, as it is now. `certificate_ends`: when the first of its own certificates does, in seconds since 1970.
GAUGES: Final = ("connections_active", "certificate_ends")

MOST_LISTENERS: Final = 500  # in one message
