"""Rules that every plan must keep, as functions from resources to what breaks them."""

import json
from collections.abc import Iterable, Iterator

from tests.deploy.stub_values import Value
from tests.deploy.terraform import Resource

# Actions that IAM can only allow on everything: they name no resource, or it does not exist yet.
WITHOUT_RESOURCE = {
    "iam:ListInstanceProfiles",
    "pricing:GetProducts",
    "route53:ListHostedZones",
}
READ_ONLY = (
    "acm:",
    "ec2:Describe",
    "ec2:Get",
    "elasticloadbalancing:Describe",
    "shield:Get",
    "wafv2:Get",
)

INTERNET = {"0.0.0.0/0", "::/0"}


def statements(resource: Resource) -> Iterator[dict[str, Value]]:
    """Of the policy document that a resource carries, if it does."""
    for field in ("policy", "assume_role_policy"):
        document = resource.values.get(field)
        if document and "Statement" in document:
            yield from json.loads(document)["Statement"]


def _listed(value: Value) -> list[str]:
    return value if isinstance(value, list) else [value]


def too_much_allowed(resources: Iterable[Resource]) -> list[str]:
    """Statements with a wildcard for actions, or with any resource where one could be named."""
    broken = []
    for resource in resources:
        if resource.type != "aws_iam_role_policy":
            continue
        for statement in statements(resource):
            actions, targets = _listed(statement["Action"]), _listed(statement["Resource"])
            broken += [f"{resource.address}: {each}" for each in actions if "*" in each]
            if "*" not in targets or "Condition" in statement:
                continue
            broken += [
                f"{resource.address}: {each} on everything"
                for each in actions
                if each not in WITHOUT_RESOURCE and not each.startswith(READ_ONLY)
            ]
    return broken


def open_to_the_internet(resources: Iterable[Resource]) -> list[str]:
    """Security groups, subnets and API servers that anybody reaches."""
    broken = []
    for each in resources:
        values, ranges = each.values, []
        if each.type == "aws_vpc_security_group_ingress_rule":
            ranges = [values["cidr_ipv4"], values["cidr_ipv6"]]
        if each.type == "aws_eks_cluster":
            ranges = values["vpc_config"][0]["public_access_cidrs"] or []
        if INTERNET.intersection(ranges) or values.get("map_public_ip_on_launch"):
            broken.append(each.address)
        if each.type in {"aws_security_group", "aws_default_security_group"} and values["ingress"]:
            broken.append(f"{each.address}: rules in the group itself")
    return broken


def readable_on_disk(resources: Iterable[Resource]) -> list[str]:
    """What would be stored without encryption."""
    resources = list(resources)
    encrypted_buckets = {
        each.values["bucket"]
        for each in resources
        if each.type == "aws_s3_bucket_server_side_encryption_configuration"
    }
    broken = []
    for each in resources:
        values = each.values
        match each.type:
            case "aws_s3_bucket":
                safe = values["id"] in encrypted_buckets
            case "aws_launch_template":
                safe = all(
                    disk["ebs"][0]["encrypted"] == "true"
                    for disk in values["block_device_mappings"]
                )
            case "aws_sqs_queue":
                safe = values["sqs_managed_sse_enabled"]
            case "aws_sns_topic":
                safe = bool(values["kms_master_key_id"])
            case "aws_elasticache_replication_group":
                safe = values["at_rest_encryption_enabled"] in (True, "true")
            case "aws_ecr_repository":
                safe = bool(values["encryption_configuration"])
            case "aws_eks_cluster":
                safe = values["encryption_config"][0]["resources"] == ["secrets"]
            case _:
                safe = True
        if not safe:
            broken.append(each.address)
    return broken


def readable_on_the_way(resources: Iterable[Resource]) -> list[str]:
    """Stores that are talked to without TLS, and buckets that take requests without it."""
    resources = list(resources)
    kept = {
        each.values["bucket"]
        for each in resources
        if each.type == "aws_s3_bucket_policy"
        for statement in statements(each)
        if statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    }
    broken = []
    for each in resources:
        safe = each.type != "aws_s3_bucket" or each.values["id"] in kept
        if each.type == "aws_elasticache_replication_group":
            safe = each.values["transit_encryption_enabled"] in (True, "true")
        if not safe:
            broken.append(each.address)
    return broken


def metadata_for_pods(resources: Iterable[Resource]) -> list[str]:
    """Launch templates whose instances give pods the node's role."""
    return [
        each.address
        for each in resources
        if each.type == "aws_launch_template"
        and [
            (options["http_tokens"], options["http_put_response_hop_limit"])
            for options in each.values["metadata_options"]
        ]
        != [("required", 1)]
    ]


def untagged(resources: Iterable[Resource], tags: dict[str, str]) -> list[str]:
    """What does not carry all of `tags`, with what launch templates start."""
    broken = []
    for each in resources:
        carried = [each.values["tags_all"]] if "tags_all" in each.values else []
        for started in each.values.get("tag_specifications", []):
            carried.append(started["tags"])
        broken += [each.address for found in carried if not tags.items() <= found.items()]
    return broken
