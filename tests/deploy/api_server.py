"""As much of Kubernetes' API as Helm needs to install and upgrade a release, in memory.

It stores what it is sent, takes away what a patch sets to null and what the last apply had and this
one has not, and gives a Deployment without `replicas` one replica, as Kubernetes does. It knows one
manager of fields, runs nothing and validates nothing.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import yaml

from tests.deploy import secret_protobuf

Json = dict[str, Any]

KINDS = {
    "v1": [
        ("ConfigMap", "configmaps"),
        ("Namespace", "namespaces"),
        ("PersistentVolume", "persistentvolumes"),
        ("PersistentVolumeClaim", "persistentvolumeclaims"),
        ("Pod", "pods"),
        ("Secret", "secrets"),
        ("Service", "services"),
        ("ServiceAccount", "serviceaccounts"),
    ],
    "apps/v1": [("Deployment", "deployments")],
    "autoscaling/v2": [("HorizontalPodAutoscaler", "horizontalpodautoscalers")],
    "external-secrets.io/v1": [("ExternalSecret", "externalsecrets")],
    "gateway.networking.k8s.io/v1": [("HTTPRoute", "httproutes")],
    "keda.sh/v1alpha1": [
        ("ScaledObject", "scaledobjects"),
        ("TriggerAuthentication", "triggerauthentications"),
    ],
    "monitoring.coreos.com/v1": [
        ("PodMonitor", "podmonitors"),
        ("PrometheusRule", "prometheusrules"),
        ("ServiceMonitor", "servicemonitors"),
    ],
    "networking.k8s.io/v1": [("Ingress", "ingresses"), ("NetworkPolicy", "networkpolicies")],
    "policy/v1": [("PodDisruptionBudget", "poddisruptionbudgets")],
    "scheduling.k8s.io/v1": [("PriorityClass", "priorityclasses")],
}
"""Kind and plural, by group and version."""

APPLY = "application/apply-patch+yaml"
"""Server-side apply, by which Helm 4 installs."""

OF_THE_CLUSTER = {"Namespace", "PersistentVolume", "PriorityClass"}
"""Kinds that lie in no namespace."""


class ApiServer:
    """Objects by their path, as `/apis/apps/v1/namespaces/speech/deployments/verbatim`."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self._applied: dict[str, Json] = {}

    def deployment(self, namespace: str, name: str) -> Json:
        return self.objects[f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]

    def secret(self, namespace: str, name: str) -> Json:
        return self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"]

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: Json | None
    ) -> tuple[int, Json]:
        """Status and body of the reply."""
        if method == "GET" and (found := _discovery(path)) is not None:
            return 200, found
        if method == "POST":
            assert body is not None
            path = f"{path}/{body['metadata']['name']}"
            self.objects[path] = _defaulted(body)
            return 201, self.objects[path]
        if method == "APPLY":
            assert body is not None
            old, last = self.objects.get(path), self._applied.get(path)
            self._applied[path] = body
            self.objects[path] = _defaulted(_merged(old, last, body))
            return 200 if old else 201, self.objects[path]
        if path in self.objects:
            if method == "DELETE":
                return 200, self.objects.pop(path)
            if body is not None:
                new = body if method == "PUT" else _patched(self.objects[path], body)
                self.objects[path] = _defaulted(new)
            return 200, self.objects[path]
        if any(path.endswith(f"/{plural}") for kinds in KINDS.values() for _, plural in kinds):
            return 200, self._list(path, query)
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}
        return 404, {**status, "reason": "NotFound", "message": f"{path} not found"}

    def _list(self, path: str, query: dict[str, list[str]]) -> Json:
        wanted = dict(
            each.split("=") for each in ",".join(query.get("labelSelector", [])).split(",") if each
        )
        found = [
            each
            for name, each in self.objects.items()
            if name.rpartition("/")[0] == path
            and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]
        version = path.split("/namespaces/")[0].removeprefix("/apis/").removeprefix("/api/")
        kind = {plural: kind for kind, plural in KINDS[version]}[path.rpartition("/")[2]]
        return {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": found}


@contextmanager
def api_server(folder: Path) -> Iterator[tuple[ApiServer, Path]]:
    """A server at a free port, and the kubeconfig in `folder` that leads to it."""
    api = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One write a reply: in two, each would wait 40 ms for the client's acknowledgement.
        wbufsize = 65536

        def _reply(self) -> None:
            url = urlparse(self.path)
            length = int(self.headers.get("Content-Length", 0))
            sent = self.rfile.read(length)
            form = self.headers.get("Content-Type", "")
            if form == secret_protobuf.CONTENT_TYPE:
                body = secret_protobuf.decoded(sent)
            else:
                body = yaml.safe_load(sent) if form == APPLY else json.loads(sent or "null")
            method = "APPLY" if form == APPLY else self.command
            given = body if self.command != "DELETE" else None
            status, answer = api.answer(method, url.path, parse_qs(url.query), given)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _reply

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "kubeconfig"
    config.touch(0o600)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    context = {"name": "test", "context": {"cluster": "test", "user": "test"}}
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": {"server": address}}],
                "users": [{"name": "test", "user": {}}],
                "contexts": [context],
                "current-context": "test",
            }
        )
    )
    try:
        yield api, config
    finally:
        server.shutdown()
        server.server_close()


def _discovery(path: str) -> Json | None:
    """What the API offers: `/version`, `/api`, `/apis`, and the kinds of one group; or None."""
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [
            {
                "name": each.partition("/")[0],
                "versions": [{"groupVersion": each, "version": each.partition("/")[2]}],
                "preferredVersion": {"groupVersion": each, "version": each.partition("/")[2]},
            }
            for each in KINDS
            if "/" in each
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version not in KINDS:
        return None
    verbs = ["create", "delete", "get", "list", "patch", "update"]
    kinds = [
        {"name": plural, "kind": kind, "namespaced": kind not in OF_THE_CLUSTER, "verbs": verbs}
        for kind, plural in KINDS[version]
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": kinds}


def _patched(old: Any, patch: Any) -> Any:
    """A merge patch (RFC 7386); Helm's strategic ones differ from it in lists only."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            new.pop(name, None)
        else:
            new[name] = _patched(new.get(name), value)
    return new


def _merged(old: Any, last: Any, new: Any) -> Any:
    """What is applied, and what others have set; lists are taken whole."""
    if not isinstance(new, dict):
        return new
    old, last = (each if isinstance(each, dict) else {} for each in (old, last))
    kept = {name: value for name, value in old.items() if name in new or name not in last}
    applied = {name: _merged(old.get(name), last.get(name), new[name]) for name in new}
    return kept | applied


def _defaulted(body: Json) -> Json:
    if body.get("kind") == "Deployment":
        body["spec"].setdefault("replicas", 1)
    if body.get("kind") == "Secret" and (text := body.pop("stringData", None)):
        raise NotImplementedError(f"stringData: {sorted(text)}")
    return body
