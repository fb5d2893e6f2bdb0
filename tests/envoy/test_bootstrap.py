"""What an Envoy starts with: where to ask, and no secret."""

import json
from functools import partial

import ostiary.envoy.bootstrap
from ostiary.envoy import overload

MIB = 1024 * 1024
bootstrap = partial(ostiary.envoy.bootstrap.bootstrap, max_heap=100 * MIB)


def test_everything_is_asked_for_over_one_stream_and_waited_for() -> None:
    dynamic = json.loads(bootstrap("n1", "/run/ads.sock", "/run/admin.sock"))["dynamic_resources"]
    assert dynamic["ads_config"]["api_type"] == "DELTA_GRPC"
    for kind in ("cds_config", "lds_config"):
        assert dynamic[kind] == {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def test_no_port_is_open_but_what_listeners_ask_for() -> None:
    text = bootstrap("n1", "/run/ads.sock", "/run/admin.sock")
    assert json.loads(text)["admin"]["address"] == {"pipe": {"path": "/run/admin.sock", "mode": 0o600}}
    assert "socket_address" not in text


def test_it_says_who_asks_and_how_much_it_takes_on() -> None:
    made = json.loads(bootstrap("n1", "/run/ads.sock", "/run/admin.sock", max_connections=7))
    assert made["node"] == {"id": "n1", "cluster": "ostiary"}
    heap, connections = (one["typed_config"] for one in made["overload_manager"]["resource_monitors"])
    assert connections["max_active_downstream_connections"] == "7"
    assert overload.max_heap(made) == 100 * MIB
    assert heap["max_heap_size_bytes"] == str(200 * MIB)


def test_who_holds_most_loses_it_before_anybody_else_is_refused_and_goes_on_losing_it_above_the_bound() -> None:
    made = json.loads(bootstrap("n1", "/run/ads.sock", "/run/admin.sock"))["overload_manager"]
    begins, ends = {}, {}
    for action in made["actions"]:
        (trigger,) = action["triggers"]
        told = trigger.get("scaled") or {"scaling_threshold": trigger["threshold"]["value"]}
        name = action["name"].removeprefix(overload.ACTION)
        begins[name], ends[name] = told["scaling_threshold"] * 2, told.get("saturation_threshold", 0) * 2
    assert min(begins, key=begins.__getitem__) == "reset_high_memory_stream"
    assert begins["reduce_timeouts"] < begins["disable_http_keepalive"] < begins["stop_accepting_requests"]
    assert begins["stop_accepting_requests"] < begins["stop_accepting_connections"] < 1
    assert ends["reset_high_memory_stream"] == 2, "at its end it stands still, and Envoy resets nobody any more"


def test_the_keeper_can_look_and_stop_however_many_clients_are_connected() -> None:
    made = json.loads(bootstrap("n1", "/run/ads.sock", "/run/admin.sock"))
    assert made["admin"]["ignore_global_conn_limit"] is True


def test_an_envoy_that_was_started_without_a_bound_has_none() -> None:
    assert overload.max_heap({}) is None
    assert overload.max_heap({"overload_manager": {"resource_monitors": [{"name": overload.CONNECTIONS}]}}) is None


def test_listeners_of_a_last_good_configuration_of_before_find_the_cluster_that_they_name() -> None:
    made = json.loads(bootstrap("n1", "/run/ads.sock", "/run/admin.sock"))
    (nobody,) = [one for one in made["static_resources"]["clusters"] if one["name"] == "access-log"]
    assert nobody["load_assignment"] == {"cluster_name": "access-log"}


def test_only_statistics_that_somebody_reads_are_kept_where_it_is_said_which() -> None:
    sockets = ("/run/ads.sock", "/run/admin.sock")
    kept = json.loads(bootstrap("n1", *sockets, counted=("^a$", "^b$")))["stats_config"]["stats_matcher"]["inclusion_list"]
    assert [each["safe_regex"]["regex"] for each in kept["patterns"]] == ["^a$", "^b$"]
    assert "stats_config" not in json.loads(bootstrap("n1", *sockets))
