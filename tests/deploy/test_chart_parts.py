"""Workers and tiers: more Deployments of one release, with values of their own."""

from app.jobs.worker import DRAIN_SECONDS
from app.process.server import CLOSING_SECONDS, SESSIONS_SECONDS
from tests.deploy.helm import (
    Manifest,
    Values,
    environment,
    of_kinds,
    only,
    part,
    refusal,
    rendered,
    server,
    servers,
)

DATABASE: Values = {
    "jobsDatabase": {"name": "jobs", "key": "url"},
    "signingKey": {"name": "jobs", "key": "signing-key"},
}
STORE = "s3://bucket/jobs"


def jobs(**values: object) -> list[Manifest]:
    return rendered("cpu", {"jobs": {"enabled": True, **values}, "secrets": DATABASE})


def role(manifests: list[Manifest]) -> str | None:
    return environment(manifests).get("VERBATIM_JOBS__ROLE")


def test_workers_run_the_jobs_that_servers_take() -> None:
    assert "VERBATIM_JOBS__ENABLED" not in environment(rendered("cpu"))
    assert role(jobs(objects=STORE)) == "all"
    manifests = jobs(objects=STORE, workers={"enabled": True, "replicas": 3})
    workers = part(manifests, "worker")
    assert role(manifests) == "api"
    assert role(workers) == "worker"
    assert servers(workers)["spec"]["replicas"] == 3
    for told in (environment(manifests), environment(workers)):
        assert told["VERBATIM_JOBS__OBJECTS"] == STORE
        assert told["VERBATIM_JOBS__DATABASE"].startswith("postgresql://jobs/url/")
        assert told["VERBATIM_ACCESS__SIGNING_KEY"].startswith("redis://jobs/signing-key/")
    # No caller reaches them.
    assert not of_kinds(workers, "Service", "Ingress", "HTTPRoute")
    policy = only(workers, "NetworkPolicy")["spec"]
    assert [each["from"] for each in policy["ingress"]] == [[{"namespaceSelector": {}}]]
    ports = {port["port"] for rule in policy["egress"] for port in rule.get("ports", [])}
    assert ports == {53, 443, 5432, 80}, "80: of the address that hands out the role for objects"


def test_a_worker_has_time_to_end_its_jobs_or_give_them_back() -> None:
    """Within the 120 s that are left of a Spot instance."""
    manifests = rendered("jobs-tiers")
    worker = servers(part(manifests, "worker"))["spec"]["template"]["spec"]
    drain = int(environment(part(manifests, "worker"))["VERBATIM_SERVER__DRAIN_SECONDS"])
    assert "lifecycle" not in worker["containers"][0]
    hangs = SESSIONS_SECONDS + drain + CLOSING_SECONDS
    assert DRAIN_SECONDS < hangs < worker["terminationGracePeriodSeconds"] < 120


def test_keda_makes_workers_as_audio_waits_and_none_while_none_does() -> None:
    workers = part(rendered("jobs-tiers"), "worker")
    scaler = only(workers, "ScaledObject")["spec"]
    assert (scaler["minReplicaCount"], scaler["maxReplicaCount"]) == (0, 8)
    assert scaler["scaleTargetRef"]["name"] == servers(workers)["metadata"]["name"]
    (trigger,) = scaler["triggers"]
    assert trigger["metadata"]["targetQueryValue"] == "36000"
    authentication = only(workers, "TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    (secret,) = authentication["spec"]["secretTargetRef"]
    assert secret == {"parameter": "connection", "name": "verbatim", "key": "jobs-database-reader"}
    own = jobs(objects=STORE, workers={"enabled": True, "autoscaling": {"enabled": True}})
    (secret,) = only(own, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert (secret["name"], secret["key"]) == ("jobs", "url"), "the server's own user"


def test_a_single_pod_keeps_database_and_recordings_in_a_claim() -> None:
    """The server's own PostgreSQL, which no other pod reaches."""
    alone: Values = {"replicas": 1, "strategy": {"type": "Recreate"}, "jobs": {"enabled": True}}
    manifests = rendered("cpu", alone)
    told = environment(manifests)
    assert role(manifests) == "all"
    assert told["VERBATIM_JOBS__DIRECTORY"] == "/jobs"
    assert told["VERBATIM_JOBS__OBJECTS"] == "file:///jobs/objects"
    assert "VERBATIM_JOBS__DATABASE" not in told
    claim = only(manifests, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert {"name": "jobs", "mountPath": "/jobs"} in server(manifests)["volumeMounts"]
    assert "pods share one PostgreSQL" in refusal("cpu", {**alone, "replicas": 2})


def test_pods_without_a_store_share_a_volume() -> None:
    manifests = jobs(volume={"storageClassName": "efs"}, workers={"enabled": True})
    (claim,) = of_kinds(manifests, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    mounted = {"name": "jobs", "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    for pods in (manifests, part(manifests, "worker")):
        assert mounted in servers(pods)["spec"]["template"]["spec"]["volumes"]
    given = jobs(volume={"existingClaim": "nfs"}, workers={"enabled": True})
    assert not of_kinds(given, "PersistentVolumeClaim")
    assert "'claimName': 'nfs'" in str(part(given, "worker"))


def test_a_tier_has_models_pods_scaler_and_names_of_its_own() -> None:
    manifests = rendered("jobs-tiers")
    tier = part(manifests, "turbo")
    assert environment(tier)["VERBATIM_MODEL"] == "large-v3-turbo"
    assert environment(manifests)["VERBATIM_MODEL"] == "base"
    assert server(tier)["image"] == f"{server(manifests)['image']}-cuda"
    assert role(tier) is None, "its models are not those of the workers"
    query = only(tier, "ScaledObject")["spec"]["triggers"][0]["metadata"]["query"]
    assert query == 'max(stt:replicas_wanted{namespace="speech",job="verbatim-turbo"})'
    rules = only(manifests, "Ingress")["spec"]["rules"]
    leads = {each["host"]: str(each).count("'verbatim-turbo'") for each in rules}
    assert leads["speech.example.com"] == 0 < leads["turbo.speech.example.com"]
    (route,) = of_kinds(tier, "HTTPRoute")
    assert route["spec"]["hostnames"] == ["turbo.speech.example.com"]
    (placeholder,) = [each for each in of_kinds(tier, "Deployment") if each is not servers(tier)]
    assert placeholder["spec"]["selector"] == {
        "matchLabels": {"verbatim.placeholder": "verbatim-turbo"}
    }


def test_a_tier_without_hosts_is_reached_by_its_service_alone() -> None:
    ingress: Values = {"enabled": True, "hosts": ["a.example.com"], "alb": {"enabled": False}}
    values: Values = {"tiers": {"small": {"replicas": 5}}, "ingress": ingress}
    manifests = rendered("cpu", values)
    assert "verbatim-small" not in str(only(manifests, "Ingress"))
    assert [each["metadata"]["name"] for each in of_kinds(manifests, "Service")] == [
        "verbatim",
        "verbatim-small",
    ]
    assert servers(part(manifests, "small"))["spec"]["replicas"] == 5
    hosts = environment(part(manifests, "small"))["VERBATIM_SERVER__TRUSTED_HOSTS"]
    assert "verbatim-small.speech" in hosts


def test_objects_lie_in_another_namespace_where_a_chart_above_says_so() -> None:
    manifests = rendered("gpu-alb-keda", {"namespaceOverride": "elsewhere"})
    of_no_namespace = {"PersistentVolume", "PriorityClass"}
    assert {
        each["metadata"]["namespace"] for each in manifests if each["kind"] not in of_no_namespace
    } == {"elsewhere"}
    (volume,) = of_kinds(manifests, "PersistentVolume")
    assert volume["spec"]["claimRef"]["namespace"] == "elsewhere"
    query = only(manifests, "ScaledObject")["spec"]["triggers"][0]["metadata"]["query"]
    assert 'namespace="elsewhere",job="elsewhere/verbatim"' in query
