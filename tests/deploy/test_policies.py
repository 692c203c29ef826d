"""The rules find what breaks them: a rule that finds nothing would look the same."""

from collections.abc import Callable

import pytest

from tests.deploy import policies
from tests.deploy.stub_values import Value
from tests.deploy.terraform import Resource

Rule = Callable[[list[Resource]], list[str]]


def _may(*actions: str, on: str) -> dict[str, Value]:
    statement = str([{"Action": list(actions), "Resource": on}]).replace("'", '"')
    return {"policy": f'{{"Statement":{statement}}}'}


def _metadata(tokens: str, hops: int) -> dict[str, Value]:
    options = {"http_tokens": tokens, "http_put_response_hop_limit": hops}
    return {"metadata_options": [options]}


def _disk(encrypted: str) -> dict[str, Value]:
    return {"block_device_mappings": [{"ebs": [{"encrypted": encrypted}]}]}


def _database(**changed: Value) -> dict[str, Value]:
    kept: dict[str, Value] = {
        "backup_retention_period": 7,
        "deletion_protection": True,
        "multi_az": True,
    }
    kept |= {"skip_final_snapshot": False, "manage_master_user_password": True, "password": None}
    return kept | changed


def _access(**changed: bool) -> dict[str, Value]:
    return {"bucket": "b", **dict.fromkeys(policies.PUBLIC_ACCESS, True), **changed}


BUCKET = "arn:aws:s3:::models/*"
CASES: list[tuple[Rule, str, dict[str, Value], dict[str, Value]]] = [
    (
        policies.too_much_allowed,
        "aws_iam_role_policy",
        _may("s3:GetObject", on=BUCKET),
        _may("s3:*", on=BUCKET),
    ),
    (
        policies.too_much_allowed,
        "aws_iam_role_policy",
        _may("ec2:DescribeSubnets", "pricing:GetProducts", on="*"),
        _may("ec2:DescribeSubnets", "s3:GetObject", on="*"),
    ),
    (
        policies.open_to_the_internet,
        "aws_vpc_security_group_ingress_rule",
        {"cidr_ipv4": "10.0.0.0/8", "cidr_ipv6": None},
        {"cidr_ipv4": "0.0.0.0/0", "cidr_ipv6": None},
    ),
    (
        policies.open_to_the_internet,
        "aws_vpc_security_group_ingress_rule",
        {"cidr_ipv4": None, "cidr_ipv6": "fd00::/8"},
        {"cidr_ipv4": None, "cidr_ipv6": "::/0"},
    ),
    (
        policies.open_to_the_internet,
        "aws_eks_cluster",
        {"vpc_config": [{"public_access_cidrs": ["203.0.113.0/24"]}]},
        {"vpc_config": [{"public_access_cidrs": ["203.0.113.0/24", "0.0.0.0/0"]}]},
    ),
    (
        policies.open_to_the_internet,
        "aws_subnet",
        {"map_public_ip_on_launch": False},
        {"map_public_ip_on_launch": True},
    ),
    (
        policies.open_to_the_internet,
        "aws_default_security_group",
        {"ingress": []},
        {"ingress": [{"cidr_blocks": ["10.0.0.0/8"]}]},
    ),
    (
        policies.open_to_the_internet,
        "aws_db_instance",
        {"publicly_accessible": False},
        {"publicly_accessible": True},
    ),
    *(
        (policies.easily_lost, "aws_db_instance", _database(), _database(**planted))
        for planted in (
            {"backup_retention_period": 0},
            {"deletion_protection": None},
            {"skip_final_snapshot": True},
            {"multi_az": False},
            {"manage_master_user_password": None},
            {"password": "in the state"},
        )
    ),
    (
        policies.readable_on_disk,
        "aws_db_instance",
        {"storage_encrypted": True},
        {"storage_encrypted": None},
    ),
    (
        policies.readable_on_disk,
        "aws_backup_vault",
        {"kms_key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1"},
        {"kms_key_arn": None},
    ),
    (
        policies.readable_on_the_way,
        "aws_db_parameter_group",
        {"parameter": [{"name": "rds.force_ssl", "value": "1", "apply_method": None}]},
        {"parameter": []},
    ),
    (policies.readable_on_disk, "aws_launch_template", _disk("true"), _disk("false")),
    (
        policies.readable_on_disk,
        "aws_sqs_queue",
        {"sqs_managed_sse_enabled": True},
        {"sqs_managed_sse_enabled": False},
    ),
    (
        policies.readable_on_disk,
        "aws_sns_topic",
        {"kms_master_key_id": "alerts"},
        {"kms_master_key_id": None},
    ),
    (
        policies.readable_on_disk,
        "aws_eks_cluster",
        {"encryption_config": [{"resources": ["secrets"]}]},
        {"encryption_config": [{"resources": []}]},
    ),
    (
        policies.readable_on_disk,
        "aws_elasticache_replication_group",
        {"at_rest_encryption_enabled": "true"},
        {"at_rest_encryption_enabled": None},
    ),
    (
        policies.readable_on_the_way,
        "aws_elasticache_replication_group",
        {"transit_encryption_enabled": True},
        {"transit_encryption_enabled": False},
    ),
    (
        policies.metadata_for_pods,
        "aws_launch_template",
        _metadata("required", 1),
        _metadata("optional", 1),
    ),
    (
        policies.metadata_for_pods,
        "aws_launch_template",
        _metadata("required", 1),
        _metadata("required", 2),
    ),
    (
        lambda resources: policies.untagged(resources, {"project": "speech"}),
        "aws_launch_template",
        {
            "tags_all": {"project": "speech"},
            "tag_specifications": [{"tags": {"project": "speech", "Name": "gpu"}}],
        },
        {"tags_all": {"project": "speech"}, "tag_specifications": [{"tags": {"Name": "gpu"}}]},
    ),
]


@pytest.mark.parametrize(
    ("rule", "kind", "kept", "broken"),
    CASES,
    ids=[f"{kind}-{n}" for n, (_, kind, *_) in enumerate(CASES)],
)
def test_a_rule_tells_what_breaks_it_from_what_keeps_it(
    rule: Rule, kind: str, kept: dict[str, Value], broken: dict[str, Value]
) -> None:
    assert rule([Resource("good", kind, kept)]) == []
    (found,) = rule([Resource("bad", kind, broken)])
    assert found.startswith("bad")


@pytest.mark.parametrize("name", policies.PUBLIC_ACCESS)
def test_a_bucket_that_can_become_public_is_found(name: str) -> None:
    bucket = Resource("models", "aws_s3_bucket", {"id": "b"})
    kind = "aws_s3_bucket_public_access_block"
    assert policies.open_to_the_internet([bucket, Resource("x", kind, _access())]) == []
    loose = Resource("x", kind, _access(**{name: False}))
    assert policies.open_to_the_internet([bucket, loose]) == ["models"]
    assert policies.open_to_the_internet([bucket]) == ["models"]


def test_a_bucket_without_encryption_is_found() -> None:
    bucket = Resource("models", "aws_s3_bucket", {"id": "models"})
    kind = "aws_s3_bucket_server_side_encryption_configuration"
    assert policies.readable_on_disk([bucket]) == ["models"]
    assert policies.readable_on_disk([bucket, Resource("x", kind, {"bucket": "models"})]) == []
    assert policies.readable_on_disk([bucket, Resource("x", kind, {"bucket": "y"})]) == ["models"]


def test_a_cluster_whose_nodes_nobody_watches_is_found() -> None:
    cluster = Resource("cluster", "aws_eks_cluster", {"name": "speech"})

    def addon(name: str, cluster_name: str) -> Resource:
        values: dict[str, Value] = {"addon_name": name, "cluster_name": cluster_name}
        return Resource("addon", "aws_eks_addon", values)

    agent = policies.MONITORING_AGENT
    assert policies.unwatched_nodes([cluster, addon(agent, "speech")]) == []
    assert policies.unwatched_nodes([cluster, addon("coredns", "speech")]) == ["cluster"]
    assert policies.unwatched_nodes([cluster, addon(agent, "another")]) == ["cluster"]


def test_a_bucket_that_takes_requests_without_tls_is_found() -> None:
    bucket = Resource("models", "aws_s3_bucket", {"id": "models"})
    tls = '{"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}'
    policy = Resource("x", "aws_s3_bucket_policy", {"bucket": "models", "policy": tls})
    assert policies.readable_on_the_way([bucket]) == ["models"]
    assert policies.readable_on_the_way([bucket, policy]) == []
