"""What an Envoy starts with: where to ask, and no secret."""

import json

from ostiary.envoy.bootstrap import bootstrap


def test_everything_is_asked_for_over_one_stream_and_waited_for() -> None:
    dynamic = json.loads(bootstrap("n1", "/run/ads.sock", "/run/access.sock", "/run/admin.sock"))["dynamic_resources"]
    assert dynamic["ads_config"]["api_type"] == "DELTA_GRPC"
    for kind in ("cds_config", "lds_config"):
        assert dynamic[kind] == {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def test_no_port_is_open_but_what_listeners_ask_for() -> None:
    text = bootstrap("n1", "/run/ads.sock", "/run/access.sock", "/run/admin.sock")
    assert json.loads(text)["admin"]["address"] == {"pipe": {"path": "/run/admin.sock", "mode": 0o600}}
    assert "socket_address" not in text


def test_it_says_who_asks_and_how_much_it_takes_on() -> None:
    made = json.loads(bootstrap("n1", "/run/ads.sock", "/run/access.sock", "/run/admin.sock", max_connections=7))
    assert made["node"] == {"id": "n1", "cluster": "ostiary"}
    assert made["overload_manager"]["resource_monitors"][0]["typed_config"]["max_active_downstream_connections"] == "7"


def test_a_keeper_that_is_slow_holds_up_no_more_of_the_access_log_than_so_many_batches() -> None:
    made = json.loads(bootstrap("n1", "/run/ads.sock", "/run/access.sock", "/run/admin.sock"))
    (collector,) = [one for one in made["static_resources"]["clusters"] if one["name"] == "access-log"]
    assert collector["circuit_breakers"]["thresholds"] == [{"max_pending_requests": 64, "max_requests": 64}]
