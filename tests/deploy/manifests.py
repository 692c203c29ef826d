"""Strict judges of manifests: Kubernetes' schemas, and the types of operators' resources."""

import json
import subprocess

from tests.deploy.helm import HERE, Manifest
from tests.deploy.terraform import PYTHON
from tests.support.live_server import ROOT
from tests.support.programs import missing, require


def complaints(manifests: dict[str, list[Manifest]]) -> list[str]:
    """What is wrong with the manifests for each version of Kubernetes."""
    kubernetes = {
        version: [each for each in documents if not is_custom(each)]
        for version, documents in manifests.items()
    }
    # Operators' types are the same for every version of Kubernetes.
    custom = {
        json.dumps(each): each
        for documents in manifests.values()
        for each in documents
        if is_custom(each)
    }
    if not PYTHON.exists():
        missing(f"{PYTHON.relative_to(ROOT)} is missing: make test")
    return [
        *_judged([str(PYTHON), str(HERE / "kubernetes_schemas.py")], kubernetes),
        *_judged([require("node"), str(HERE / "node/custom_resources.mjs")], [*custom.values()]),
    ]


def is_custom(manifest: Manifest) -> bool:
    """Its kind comes from an operator and not from Kubernetes."""
    group = manifest["apiVersion"].partition("/")[0]
    return "." in group and (not group.endswith(".k8s.io") or group.startswith("gateway."))


def _judged(command: list[str], documents: object) -> list[str]:
    done = subprocess.run(command, input=json.dumps(documents), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
