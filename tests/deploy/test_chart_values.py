"""What the chart can be told: documented, checked, and refused where it makes no sense."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.settings import Settings, read_settings
from tests.deploy import chart_readme, chart_schema
from tests.deploy.helm import CHART, SHAPES, environment, notes, refusal, rendered, server
from tests.support.live_server import ROOT

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DATABASE = {"secrets": {"jobsDatabase": {"name": "jobs", "key": "url"}}}
RECREATE = {"type": "Recreate"}

# Settings of which the chart makes something else than a value below `settings`.
FROM_SECRETS = {
    "access.keys_file": "keys",
    "access.signing_key": "signingKey",
    "access.oidc.client_secret": "clientSecret",
    "jobs.database": "jobsDatabase",
    "limits.store": "limitStore",
    "telemetry.metrics_token": "metricsToken",
}
OTHER_SECRETS = {"hubToken"}
"""Which are no settings of the server: what it is built on reads them."""
INSTEAD_OF = {
    "jobs.directory": "jobs.volume",
    "jobs.enabled": "jobs.enabled",
    "jobs.objects": "jobs.objects",
    "jobs.role": "jobs.workers",
    "access.keys": "secrets.keys",
    "access.open": "open",
    "models.built_in": "the image's",
    "models.directory": "modelCache",
}


def leaves(schema: dict[str, object], path: str = "") -> Iterator[str]:
    """Paths of what has no named parts."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        yield path.removeprefix(".")
        return
    for name, inner in properties.items():
        yield from leaves(inner, f"{path}.{name}")


def test_every_value_has_a_default_a_meaning_and_a_type() -> None:
    # `global` is Helm's, for charts that have this one as a part.
    typed = {each for each in leaves(SCHEMA) if not each.startswith("settings.")} - {"global"}
    documented = {each.path for each in chart_readme.values()}
    groups = {each for each in documented if any(path.startswith(f"{each}.") for path in typed)}
    of_the_server = {each for each in documented if each.partition(".")[0] == "settings"}
    assert documented - groups - of_the_server == typed


def test_the_readme_has_the_values_and_their_comments() -> None:
    text = chart_readme.README.read_text()
    assert text == chart_readme.with_table(text), "python -m tests.deploy.chart_readme"


def test_the_schema_has_the_servers_settings() -> None:
    schema = chart_schema.settings_schema()
    assert SCHEMA["properties"]["settings"] == schema, "python -m tests.deploy.chart_schema"


def test_every_setting_of_the_server_can_be_reached() -> None:
    reached = set(leaves(SCHEMA["properties"]["settings"]))
    definitions = Settings.model_json_schema()
    every = set(leaves(chart_schema.inlined(definitions, definitions["$defs"])))
    assert every - reached == FROM_SECRETS.keys() | INSTEAD_OF.keys()
    assert (
        set(SCHEMA["properties"]["secrets"]["properties"])
        == set(FROM_SECRETS.values()) | OTHER_SECRETS
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_server_understands_what_the_chart_tells_it(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(rendered(shape)).items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.server.drain_seconds == 30
    assert settings.telemetry.log_format == "json"
    assert settings.access.open is (shape == "cpu")


def test_settings_arrive_as_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {
        "models": {"served": ["large-v3", "small"], "aliases": {"gpt-4o-transcribe": "large-v3"}},
        "audio": {"max_upload_bytes": 104857600},
        "limits": {"max_wait_seconds": 12.5},
        "engine": {"fallback": False},
        "access": {"oidc": {"rules": [{"claim": "groups", "value": "sales", "admin": True}]}},
    }
    for name, value in environment(rendered("cpu", {"settings": written})).items():
        monkeypatch.setenv(name, value)
    read = read_settings()
    assert read.models.served == ("large-v3", "small")
    assert read.models.aliases == {"gpt-4o-transcribe": "large-v3"}
    assert read.audio.max_upload_bytes == 100 * 1024**2
    assert read.limits.max_wait_seconds == 12.5
    assert read.engine.fallback is False
    assert read.access.oidc.rules[0].value == "sales"
    assert read.access.oidc.rules[0].admin is True


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"replica": 3}, "Additional property replica is not allowed"),
        ({"settings": {"engin": {}}}, "Additional property engin is not allowed"),
        ({"settings": {"engine": {"beam_size": 21}}}, "Must be less than or equal to 20"),
        ({"secrets": {"keys": {"name": "keys"}}}, "secrets.keys"),
        ({"autoscaling": {"type": "vpa"}}, "autoscaling.type"),
        ({"image": {"digest": "sha256:12"}}, "image.digest"),
        ({"secrets": {"keys": {"name": "a", "key": "b"}}}, "open is true, but keys"),
        (
            {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
            "would scrape every pod twice",
        ),
        (
            {
                "ingress": {"enabled": True, "alb": {"idleTimeoutSeconds": 75}},
                "settings": {"server": {"idle_connection_seconds": 75}},
            },
            "idle_connection_seconds (75) must be longer than ingress.alb.idleTimeoutSeconds (75)",
        ),
        ({"terminationGracePeriodSeconds": 344}, "it must be at least 345"),
        (
            {"autoscaling": {"type": "hpa", "minReplicas": 3, "maxReplicas": 2}},
            "maxReplicas is below minReplicas",
        ),
        (
            {
                "secrets": {"metricsToken": {"name": "a", "key": "b"}},
                "settings": {"telemetry": {"metrics_port": 9090}},
            },
            "leave one of them out",
        ),
        ({"modelCache": {"type": "existingClaim"}}, "modelCache.existingClaim is empty"),
        ({"modelCache": {"type": "hostPath"}}, "modelCache.hostPath is empty"),
        ({"modelCache": {"type": "csi"}}, "modelCache.csi is empty"),
        ({"modelCache": {"type": "persistentVolume"}}, "modelCache.persistentVolume is empty"),
        (
            {"modelCache": {"type": "csi", "csi": {"driver": "s3.csi.aws.com"}}},
            "s3.csi.aws.com mounts no inline volumes",
        ),
        ({"modelCache": {"type": "pvc"}, "replicas": 2}, "modelCache.pvc is ReadWriteOnce"),
        ({"autoscaling": {"type": "keda"}}, "which nothing would make"),
        (
            {"autoscaling": {"type": "hpa"}, "serviceMonitor": {"enabled": True}},
            "which nothing would make",
        ),
        (
            {
                "autoscaling": {"type": "hpa"},
                "podMonitor": {"enabled": True},
                "prometheusRule": {"enabled": True},
            },
            "enable serviceMonitor instead",
        ),
        ({"ingress": {"paths": ["v1"]}}, "ingress.paths"),
        (
            {"ingress": {"alb": {"sslPolicy": "ELBSecurityPolicy-2016-08"}}},
            "ingress.alb.sslPolicy",
        ),
        ({"autoscaling": {"keda": {"cron": [{"start": "8:00"}]}}}, "timezone is required"),
        ({"extraVolumeMounts": [{"name": "a", "mountPath": "/"}]}, "/ would hide the models in"),
        ({"extraVolumeMounts": [{"name": "a", "mountPath": "/opt/"}]}, "/opt/ would hide"),
        (
            {"extraVolumeMounts": [{"name": "a", "mountPath": "/opt/models/base"}]},
            "/opt/models/base would hide the models in the image",
        ),
        ({"externalSecret": {"enabled": True}}, "of which nothing is used"),
        ({"gpu": {"claimTemplate": "gpu"}}, "say with gpu.count how many"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
        ({"jobs": {"enabled": True}, "replicas": 1}, "pods share one PostgreSQL"),
        ({"jobs": {"enabled": True}, **DATABASE}, "pods share recordings and results"),
        ({"jobs": {"enabled": True, "objects": "s3://b/j"}, **DATABASE}, "secrets.signingKey"),
        ({"jobs": {"enabled": True, "objects": "http://b"}}, "jobs.objects"),
        ({"jobs": {"workers": {"enabled": True}}}, "jobs.workers is enabled, but jobs is not"),
        (
            {"jobs": {"workers": {"autoscaling": {"enabled": True, "minReplicas": 5}}}},
            "jobs.workers.autoscaling.maxReplicas is below minReplicas",
        ),
        ({"jobs": {"workers": {"overrides": {"service": {}}}}}, "jobs.workers.overrides"),
        ({"tiers": {"worker": {}}}, "tiers"),
        ({"modelCache": {"type": "emptyDir", "pull": ["a"]}}, "a volume that pods share"),
        ({"tiers": {"turbo": {"secrets": {}}}}, "tiers.turbo"),
        ({"tiers": {"turbo": {"settings": {"engin": {}}}}}, "tiers.turbo.settings"),
        (
            {"modelCache": {"type": "pvc"}, "tiers": {"turbo": {}}, "strategy": RECREATE},
            "without tiers and workers",
        ),
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused_with_the_reason(
    values: dict[str, object], reason: str
) -> None:
    assert reason in refusal("cpu", values)


def test_values_on_the_right_side_of_each_limit_are_accepted() -> None:
    values = {
        "terminationGracePeriodSeconds": 345,
        "ingress": {"enabled": True, "alb": {"idleTimeoutSeconds": 74}},
        "settings": {"server": {"idle_connection_seconds": 75}},
        "autoscaling": {
            "type": "hpa",
            "minReplicas": 2,
            "maxReplicas": 2,
            "rulesElsewhere": True,
        },
        "extraVolumeMounts": [{"name": "tmp", "mountPath": "/opt/models-of-mine"}],
    }
    assert not refusal("cpu", values)


def test_a_variable_of_ones_own_takes_the_place_of_the_chart_s() -> None:
    """Twice in the list, the last would win; Helm 4's server-side apply refuses such a list."""
    own = [{"name": "VERBATIM_MODEL", "value": "small"}, {"name": "TZ", "value": "UTC"}]
    manifests = rendered("cpu", {"extraEnv": own})
    told = environment(manifests)
    assert (told["VERBATIM_MODEL"], told["TZ"]) == ("small", "UTC")
    assert len(server(manifests)["env"]) == len(told)
    used = {"externalSecret": {"enabled": True, "target": "own"}}
    reference = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "own", "key": "token"}}}]
    assert not refusal("cpu", {**used, "extraEnv": reference})


CACHE = {"type": "emptyDir"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "with base.\nIt is in the image: nothing is downloaded."),
        ({"settings": {"model": None}}, "with the image's model.\n\nIs it ready?"),
        ({"settings": {"model": "small"}}, "build it with BAKED_MODEL=small"),
        (
            {"settings": {"model": "small"}, "modelCache": CACHE},
            "with small.\nA pod pulls it to /models, unless it is there, and is not ready before",
        ),
        (
            {"settings": {"model": "small"}, "modelCache": {**CACHE, "readOnly": True}},
            "It must be in the image or lie in /models: nothing is downloaded.",
        ),
        (
            {"settings": {"model": "/models/own"}, "modelCache": CACHE},
            "with /models/own.\n\nIs it ready?",
        ),
        ({"open": False}, "get secret verbatim-key -o jsonpath='{.data.key}' | base64 -d"),
        (
            {"ingress": {"enabled": True}},
            "kubectl label namespace default elbv2.k8s.aws/pod-readiness-gate-inject=enabled",
        ),
        (
            {"ingress": {"enabled": True}},
            "keys go over the network as they are: set ingress.alb.certificateArn.",
        ),
    ],
    ids=str,
)
def test_the_notes_say_where_the_model_comes_from_and_what_is_left_to_do(
    values: dict[str, object], words: str, tmp_path: Path
) -> None:
    assert words in notes({"open": True, **values}, tmp_path)


def test_the_values_for_argo_cd_are_values_of_the_chart() -> None:
    application = yaml.safe_load((ROOT / "deploy/argocd/application.yaml").read_text())
    source = application["spec"]["source"]
    assert (ROOT / source["path"]).samefile(CHART)
    values = {"open": False, **source["helm"]["valuesObject"]}
    assert environment(rendered("cpu", values))["VERBATIM_MODEL"] == "large-v3-turbo"
