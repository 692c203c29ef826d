"""KServe's custom predictor: a pod with three fields more. KServe itself is not run here."""

import os

import pytest
import yaml

from app.settings import read_settings
from tests.deploy.helm import VERSIONS
from tests.deploy.manifests import complaints
from tests.support.live_server import ROOT

SERVICE = yaml.safe_load((ROOT / "deploy" / "kserve" / "inferenceservice.yaml").read_text())
KSERVE_FIELDS = {"minReplicas", "maxReplicas"}
"""Of a predictor, beside those of a pod."""


def test_the_predictor_is_a_valid_pod_with_settings_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (SERVICE["apiVersion"], SERVICE["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    predictor = SERVICE["spec"]["predictor"]
    assert predictor.keys() > KSERVE_FIELDS
    spec = {name: value for name, value in predictor.items() if name not in KSERVE_FIELDS}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "verbatim"}, "spec": spec}
    assert complaints({version: [pod] for version in VERSIONS}) == []
    [container] = spec["containers"]
    assert container["name"] == "kserve-container", "the name by which KServe knows it"
    for each in container["env"]:
        monkeypatch.setitem(os.environ, each["name"], each["value"])
    assert read_settings().server.host == "0.0.0.0"
