"""What Envoy is told, in full, for configurations worth reading: one folder under `golden` each.

`desired.yaml` goes in; the other files are what comes out. A new case is a new folder with a `desired.yaml`; run
`pytest tests/envoy/test_golden.py --update-golden` and read the difference. Certificates and keys are shown by name.
"""

import importlib
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from google.protobuf import json_format

from ostiary.envoy.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, Resource
from ostiary.envoy.snapshot import snapshot
from support.desired import from_yaml, named_again

GOLDEN: Final = Path(__file__).parent / "golden"
INPUT: Final = "desired.yaml"
OUTPUTS: Final = {
    "listeners.yaml": LISTENER,
    "routes.yaml": ROUTE,
    "extensions.yaml": EXTENSION,
    "clusters.yaml": CLUSTER,
    "endpoints.yaml": ENDPOINT,
    "secrets.yaml": SECRET,
}
_MODULES: Final = {
    EXTENSION: "envoy.config.core.v3.extension_pb2",
    CLUSTER: "envoy.config.cluster.v3.cluster_pb2",
    ENDPOINT: "envoy.config.endpoint.v3.endpoint_pb2",
    LISTENER: "envoy.config.listener.v3.listener_pb2",
    ROUTE: "envoy.config.route.v3.route_pb2",
    SECRET: "envoy.extensions.transport_sockets.tls.v3.secret_pb2",
}


def message_of(resource: Resource) -> Any:
    """The resource as a protobuf message again."""
    kind = resource.type_url.rsplit(".", 1)[1]
    return getattr(importlib.import_module(_MODULES[resource.type_url]), kind).FromString(resource.body)


def shown(resource: Resource) -> dict[str, Any]:
    message = json_format.MessageToDict(message_of(resource), preserving_proto_field_name=True)
    return {"owners": sorted(resource.owners), "resource": named_again(message)}


def translated(case: Path) -> dict[str, str]:
    """Each output file's text; a kind of resource that there is none of has no file."""
    resources = snapshot(from_yaml(case / INPUT)).resources.values()
    chosen = {file: [shown(each) for each in resources if each.type_url == kind] for file, kind in OUTPUTS.items()}
    return {
        file: yaml.safe_dump(content, sort_keys=True, width=120, allow_unicode=True)
        for file, content in chosen.items()
        if content
    }


def cases() -> list[Path]:
    return sorted(path.parent for path in GOLDEN.glob(f"*/{INPUT}"))


def test_there_are_cases() -> None:
    assert cases()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_translates_as_recorded(case: Path, update_golden: bool) -> None:  # noqa: FBT001 (a fixture)
    made = translated(case)
    if update_golden:
        for orphan in {path.name for path in case.iterdir()} - made.keys() - {INPUT}:
            (case / orphan).unlink()
        for file, text in made.items():
            (case / file).write_text(text)
    recorded = {path.name: path.read_text() for path in case.iterdir() if path.name != INPUT}
    assert recorded == made


def test_no_folder_is_left_over(update_golden: bool) -> None:  # noqa: FBT001 (a fixture)
    orphans = [path for path in GOLDEN.iterdir() if not (path / INPUT).exists()]
    if update_golden:
        for orphan in orphans:
            shutil.rmtree(orphan)
        orphans = []
    assert orphans == []
