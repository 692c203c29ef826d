"""The example, applied by real Terraform: what would stand in the account afterwards."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.deploy import costs, policies
from tests.deploy.api_validation import refused
from tests.deploy.conftest import Applied
from tests.deploy.helm import VERSIONS, environment, only, part, rendered, server, servers
from tests.deploy.manifests import complaints
from tests.deploy.pods import BUILT_IN, broken_rules
from tests.deploy.stub_values import Value
from tests.deploy.terraform import Resource, Terraform

TAGS = {"project": "speech", "managed-by": "terraform"}


def _values(release: Resource) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    for document in release.values["values"]:
        merged |= yaml.safe_load(document)
    return merged


def _only(applied: Applied, kind: str) -> list[Resource]:
    return [each for each in applied.infrastructure if each.type == kind]


def test_nothing_changes_when_it_is_applied_again(tf: Terraform, applied: Applied) -> None:
    root = applied.folder / "infrastructure"
    planned = tf.run(root, "plan", "-detailed-exitcode", *applied.variables)
    assert planned.returncode == 0, planned.stdout + planned.stderr


def test_roles_may_do_only_what_they_are_for(applied: Applied) -> None:
    assert policies.too_much_allowed(applied.infrastructure) == []


def test_nothing_but_the_load_balancer_is_reached_from_the_internet(applied: Applied) -> None:
    assert policies.open_to_the_internet(applied.infrastructure) == []


def test_everything_is_encrypted_where_it_lies(applied: Applied) -> None:
    assert policies.readable_on_disk(applied.infrastructure) == []


def test_nothing_is_sent_in_the_clear(applied: Applied) -> None:
    assert policies.readable_on_the_way(applied.infrastructure) == []


def test_no_mistake_takes_away_the_jobs(applied: Applied) -> None:
    assert policies.easily_lost(applied.infrastructure) == []


def test_servers_keep_jobs_where_the_infrastructure_has_a_place(applied: Applied) -> None:
    values = _values(applied.release("verbatim"))
    told = environment(rendered(None, values))
    databases = _only(applied, "aws_db_instance")
    assert ("VERBATIM_JOBS__ENABLED" in told) == bool(databases)
    if databases:
        [bucket] = [each for each in _only(applied, "aws_s3_bucket") if "jobs" in each.address]
        assert told["VERBATIM_JOBS__OBJECTS"] == f"s3://{bucket.values['bucket']}/jobs"
        assert told["VERBATIM_JOBS__ROLE"] == "all", "a fixed pool has no room for workers"
        assert told["VERBATIM_JOBS__DATABASE"].startswith("postgresql://verbatim/jobs_database/")
        assert "jobs_database" in {each["secretKey"] for each in values["externalSecret"]["data"]}


def test_pods_count_limits_in_the_store_that_the_infrastructure_has(applied: Applied) -> None:
    told = environment(rendered(None, {**_values(applied.release("verbatim"))}))
    (store,) = _only(applied, "aws_elasticache_replication_group")
    endpoint = store.values["primary_endpoint_address"]
    assert told["VERBATIM_LIMITS__STORE"] == f"rediss://{endpoint}:6379/0"


def test_the_job_that_pulls_a_model_is_one_that_kubernetes_takes(
    tf: Terraform, applied: Applied
) -> None:
    if _gpu_pools(applied):
        return  # It is the same there.
    given = ["-var-file=terraform.tfvars.example", "-var=model_source=bucket"]
    given += ["-var=model_prefix=models/turbo", "-var=pulled_model=large-v3-turbo"]
    folder = applied.folder / "platform"
    tf.check(folder, "plan", "-out=pull.tfplan", *given)
    plan = json.loads(tf.check(folder, "show", "-json", "pull.tfplan"))
    (release,) = [
        each["change"]["after"]
        for each in plan["resource_changes"]
        if each["address"] == "helm_release.model[0]"
    ]
    objects = yaml.safe_load(release["values"][0])["objects"]
    assert [each["kind"] for each in objects] == ["ServiceAccount", "Job"]
    assert complaints({VERSIONS[-1]: objects}) == []


@pytest.mark.parametrize("agents", [100, 1000])
def test_the_example_for_so_many_agents_is_planned_if_the_quota_has_room(
    tf: Terraform, applied: Applied, agents: int
) -> None:
    """The stub's account may run 24 vCPUs. A managed group does not grow."""
    if _gpu_pools(applied):
        return
    given = ["-var-file=terraform.tfvars.example", f"-var-file=agents-{agents}.tfvars.example"]
    planned = tf.run(applied.folder / "platform", "plan", *given)
    if agents == 100:
        assert planned.returncode == 0, planned.stdout + planned.stderr
    else:
        assert "are 108 vCPUs, and the account's quota is 24" in " ".join(planned.stderr.split())


def test_the_costs_are_those_of_what_stands_in_the_account(applied: Applied) -> None:
    if _gpu_pools(applied):
        jobs = [each for each in applied.infrastructure if "module.jobs[0]" in each.address]
        kinds = Counter(each.type for each in jobs)
        assert kinds["aws_cloudwatch_metric_alarm"] == costs.JOBS_ALARMS
        assert kinds["aws_kms_key"] == costs.JOBS_KEYS
        (database,) = _only(applied, "aws_db_instance")
        assert database.values["allocated_storage"] == costs.JOBS_DISK
        assert database.values["instance_class"] in str(costs.JOBS)
        return
    kinds = Counter(each.type for each in applied.infrastructure)
    assert kinds["aws_nat_gateway"] == kinds["aws_eip"] == costs.NAT_GATEWAYS
    assert kinds["aws_cloudwatch_metric_alarm"] == costs.ALARMS
    assert kinds["aws_kms_key"] == costs.KEYS
    assert kinds["aws_secretsmanager_secret"] == costs.SECRETS
    endpoints = [each.values for each in _only(applied, "aws_vpc_endpoint")]
    interfaces = [each for each in endpoints if each["vpc_endpoint_type"] == "Interface"]
    assert len(interfaces) == costs.ENDPOINTS
    assert {len(each["subnet_ids"]) for each in interfaces} == {costs.ZONES}
    (cache,) = _only(applied, "aws_elasticache_replication_group")
    assert cache.values["num_cache_clusters"] == costs.CACHE_NODES
    assert cache.values["node_type"] in str(costs.WITHOUT_GPU)
    (group,) = _only(applied, "aws_eks_node_group")
    assert group.values["scaling_config"][0]["desired_size"] == costs.SYSTEM_NODES
    assert group.values["instance_types"][0] in str(costs.WITHOUT_GPU)
    (template,) = _only(applied, "aws_launch_template")
    disk = template.values["block_device_mappings"][0]["ebs"][0]
    assert disk["volume_size"] == costs.SYSTEM_DISK
    stack = _values(applied.release("kube-prometheus-stack"))["prometheus"]["prometheusSpec"]
    claim = stack["storageSpec"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]
    assert (stack["replicas"], claim["storage"]) == (
        costs.PROMETHEUS,
        f"{costs.PROMETHEUS_DISK}Gi",
    )
    node_class, pool = _values(applied.release("gpu-nodes"))["objects"]
    (volume,) = node_class["spec"]["blockDeviceMappings"]
    assert volume["ebs"]["volumeSize"] == f"{costs.GPU_DISK}Gi"
    assert (volume["ebs"]["throughput"], volume["ebs"]["iops"]) == (125, 3000), "free of charge"
    assert pool["spec"]["disruption"]["consolidateAfter"] == f"{costs.EMPTY_MINUTES}m"
    manifests = rendered(None, {**_values(applied.release("verbatim"))})
    scaler = only(manifests, "ScaledObject")["spec"]["advanced"]
    down = scaler["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 60 * costs.QUIET_MINUTES
    assert down["policies"] == [
        {"type": "Pods", "value": 1, "periodSeconds": 60 * costs.PERIOD_MINUTES}
    ]


def test_pods_cannot_take_a_nodes_role(applied: Applied) -> None:
    assert policies.metadata_for_pods(applied.infrastructure) == []


def test_a_node_whose_gpu_breaks_is_noticed_and_repaired(applied: Applied) -> None:
    assert policies.unwatched_nodes(applied.infrastructure) == []
    pools = _gpu_pools(applied)
    if pools:
        assert pools[0].values["node_repair_config"][0]["enabled"] is True
    else:
        karpenter = _values(applied.release("karpenter"))["settings"]
        assert karpenter["featureGates"]["nodeRepair"] is True


def test_workers_run_on_nodes_that_karpenter_starts_for_them(
    tf: Terraform, applied: Applied, tmp_path: Path
) -> None:
    """With the outputs of an infrastructure that has jobs."""
    if _gpu_pools(applied):
        return
    example = shutil.copytree(applied.folder, tmp_path / "example", symlinks=True)
    state = example / "infrastructure/terraform.tfstate"
    document = json.loads(state.read_text())
    jobs = {
        "objects": "s3://speech-jobs-111122223333/jobs",
        "database": {"host": "db", "port": 5432},
    }
    kind = [
        "object",
        {"objects": "string", "database": ["object", {"host": "string", "port": "number"}]},
    ]
    document["outputs"]["jobs"] = {"value": jobs, "type": kind}
    state.write_text(json.dumps(document))
    given = ["-var-file=terraform.tfvars.example", "-var=workers=1", "-out=workers.tfplan"]
    given.append('-var=gpu={ami_alias="al2023@v20261115",maximum=6}')
    tf.check(example / "platform", "plan", *given)
    plan = json.loads(tf.check(example / "platform", "show", "-json", "workers.tfplan"))
    (values,) = [
        yaml.safe_load(each["change"]["after"]["values"][0])
        for each in plan["resource_changes"]
        if each["address"] == "helm_release.verbatim"
    ]
    manifests = rendered(None, values)
    workers = part(manifests, "worker")
    assert (environment(manifests)["VERBATIM_JOBS__ROLE"]) == "api"
    assert environment(workers)["VERBATIM_JOBS__ROLE"] == "worker"
    scaler = only(workers, "ScaledObject")["spec"]
    assert (scaler["minReplicaCount"], scaler["maxReplicaCount"]) == (0, 1)
    pod = servers(workers)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"verbatim/nodes": "gpu"}
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod[
        "tolerations"
    ]
    assert complaints({VERSIONS[-1]: manifests}) == []
    assert broken_rules(manifests) == []


def test_everything_carries_the_tags(applied: Applied) -> None:
    assert policies.untagged(applied.infrastructure, TAGS) == []


def test_roles_are_taken_by_one_service_or_one_service_account(applied: Applied) -> None:
    issuer = (
        _only(applied, "aws_iam_openid_connect_provider")[0].values["url"].removeprefix("https://")
    )
    for role in _only(applied, "aws_iam_role"):
        (statement,) = policies.statements(role)
        if "Service" in statement["Principal"]:
            assert statement["Principal"]["Service"].endswith(".amazonaws.com")
        else:
            exact = statement["Condition"]["StringEquals"]
            assert exact[f"{issuer}:sub"].startswith("system:serviceaccount:"), role.address
            assert exact[f"{issuer}:aud"] == "sts.amazonaws.com"


def test_charts_use_the_service_accounts_that_have_roles(applied: Applied) -> None:
    outputs = json.loads((applied.folder / "infrastructure/terraform.tfstate").read_text())[
        "outputs"
    ]
    identities = outputs["identities"]["value"]
    releases = {
        "verbatim": "verbatim",
        "load-balancer-controller": "aws-load-balancer-controller",
        "external-dns": "external-dns",
        "external-secrets": "external-secrets",
        "fluent-bit": "fluent-bit",
    }
    for identity, name in releases.items():
        release = applied.release(name)
        account = _values(release)["serviceAccount"]
        assert (release.values["namespace"], account["name"]) == (
            identities[identity]["namespace"],
            identities[identity]["account"],
        )
        assert account["annotations"] == identities[identity]["annotations"]
    stack = _values(applied.release("kube-prometheus-stack"))
    assert stack["alertmanager"]["serviceAccount"]["name"] == identities["alertmanager"]["account"]
    if "prometheus" in identities:
        account = stack["prometheus"]["serviceAccount"]
        assert account["annotations"] == identities["prometheus"]["annotations"] != {}
        (write,) = stack["prometheus"]["prometheusSpec"]["remoteWrite"]
        assert write["url"] == outputs["metrics_write_url"]["value"]
        (kept,) = write["writeRelabelConfigs"]
        assert re.fullmatch(kept["regex"], "stt_backlog_audio_seconds")
        assert not re.fullmatch(kept["regex"], "container_memory_rss")


def _gpu_pools(applied: Applied) -> list[Resource]:
    """The managed group of GPU nodes; none where Karpenter starts them."""
    return [each for each in _only(applied, "aws_eks_node_group") if each.values["taint"]]


def test_pods_are_not_more_than_a_pool_that_does_not_grow(tf: Terraform, applied: Applied) -> None:
    pools = _gpu_pools(applied)
    scaled = _values(applied.release("verbatim"))["autoscaling"]
    nodes = pools[0].values["scaling_config"][0]["desired_size"] if pools else 4
    assert scaled["maxReplicas"] == nodes
    three = ["-var-file=terraform.tfvars.example", "-var=replicas={minimum=3,maximum=4}"]
    planned = tf.run(applied.folder / "platform", "plan", *three)
    refused = "The managed group has fewer nodes than replicas.minimum." in planned.stderr
    assert refused == bool(pools)


def test_gpu_pods_and_gpu_nodes_find_each_other(applied: Applied) -> None:
    pods = _values(applied.release("verbatim"))
    groups = _gpu_pools(applied)
    if groups:
        labels, taints = groups[0].values["labels"], groups[0].values["taint"]
        spelt = {"NO_SCHEDULE": "NoSchedule"}  # by EKS, by Kubernetes
        taints = [{**each, "effect": spelt[each["effect"]]} for each in taints]
    else:
        pool = _values(applied.release("gpu-nodes"))["objects"][1]["spec"]["template"]
        labels, taints = pool["metadata"]["labels"], pool["spec"]["taints"]
    assert pods["nodeSelector"].items() <= labels.items()
    assert taints == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    for daemon in ("dcgm-exporter", "nvidia-device-plugin"):
        for release in applied.platform:
            if release.values["name"] == daemon:
                values = _values(release)
                assert values["nodeSelector"].items() <= labels.items()
                assert values["tolerations"][0]["key"] == taints[0]["key"]


def test_every_chart_has_a_version(applied: Applied) -> None:
    for release in applied.platform:
        local = release.values["chart"].startswith(".")
        assert local or release.values["version"], release.address
        assert release.values["version"] != "latest"


def test_it_can_be_taken_down(tf: Terraform, applied: Applied) -> None:
    """A cycle of dependencies shows only when everything is destroyed."""
    for root, variables in (
        ("platform", ["-var-file=terraform.tfvars.example"]),
        ("infrastructure", applied.variables),
    ):
        planned = tf.check(applied.folder / root, "plan", "-destroy", *variables)
        assert " to destroy" in planned


def test_the_chart_makes_sound_objects_of_the_values_for_verbatim(applied: Applied) -> None:
    manifests = rendered(None, {**_values(applied.release("verbatim"))})
    assert complaints({VERSIONS[-1]: manifests}) == []
    assert broken_rules(manifests) == []
    assert refused(manifests) == []


def test_pods_serve_the_model_of_the_image_and_no_volume_hides_it(applied: Applied) -> None:
    manifests = rendered(None, {**_values(applied.release("verbatim"))})
    told = environment(manifests)
    assert (told["VERBATIM_MODEL"], told["VERBATIM_MODELS__OFFLINE"]) == ("base", "true")
    places = [PurePosixPath(each["mountPath"]) for each in server(manifests)["volumeMounts"]]
    assert PurePosixPath("/models") not in places
    assert not any(BUILT_IN.is_relative_to(place) for place in places)
