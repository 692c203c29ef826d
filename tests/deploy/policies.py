"""Rules that every plan must keep, as functions from resources to what breaks them."""

import json
from collections.abc import Callable, Iterable, Iterator

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
MONITORING_AGENT = "eks-node-monitoring-agent"
PUBLIC_ACCESS = (
    "block_public_acls",
    "block_public_policy",
    "ignore_public_acls",
    "restrict_public_buckets",
)


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
    """Security groups, subnets, API servers, databases and buckets that anybody reaches."""
    resources = list(resources)
    closed = {
        each.values["bucket"]
        for each in resources
        if each.type == "aws_s3_bucket_public_access_block"
        and all(each.values[name] for name in PUBLIC_ACCESS)
    }
    broken = [
        each.address
        for each in resources
        if each.type == "aws_s3_bucket" and each.values["id"] not in closed
    ]
    for each in resources:
        values, ranges = each.values, []
        if each.type == "aws_vpc_security_group_ingress_rule":
            ranges = [values["cidr_ipv4"], values["cidr_ipv6"]]
        if each.type == "aws_eks_cluster":
            ranges = values["vpc_config"][0]["public_access_cidrs"] or []
        is_public = values.get("map_public_ip_on_launch") or values.get("publicly_accessible")
        if INTERNET.intersection(ranges) or is_public:
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
    return [
        each.address
        for each in resources
        if (each.type in _IS_ENCRYPTED and not _IS_ENCRYPTED[each.type](each.values))
        or (each.type == "aws_s3_bucket" and each.values["id"] not in encrypted_buckets)
    ]


_IS_ENCRYPTED: dict[str, Callable[[dict[str, Value]], bool]] = {
    "aws_backup_vault": lambda values: bool(values["kms_key_arn"]),
    "aws_db_instance": lambda values: bool(values["storage_encrypted"]),
    "aws_ecr_repository": lambda values: bool(values["encryption_configuration"]),
    "aws_eks_cluster": lambda values: values["encryption_config"][0]["resources"] == ["secrets"],
    "aws_elasticache_replication_group": lambda values: (
        values["at_rest_encryption_enabled"] in (True, "true")
    ),
    "aws_launch_template": lambda values: all(
        disk["ebs"][0]["encrypted"] == "true" for disk in values["block_device_mappings"]
    ),
    "aws_sns_topic": lambda values: bool(values["kms_master_key_id"]),
    "aws_sqs_queue": lambda values: bool(values["sqs_managed_sse_enabled"]),
}


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
        if each.type == "aws_db_parameter_group":
            forced = {"name": "rds.force_ssl", "value": "1"}
            safe = any(forced.items() <= given.items() for given in each.values["parameter"])
        if not safe:
            broken.append(each.address)
    return broken


def easily_lost(resources: Iterable[Resource]) -> list[str]:
    """Databases that a mistake or the loss of a zone takes away, and passwords in the state."""
    broken = []
    for each in resources:
        if each.type != "aws_db_instance":
            continue
        values = each.values
        kept = {
            "no backups": values["backup_retention_period"],
            "no protection": values["deletion_protection"],
            "no last snapshot": not values["skip_final_snapshot"],
            "one zone": values["multi_az"],
            "a password": values["manage_master_user_password"] and not values["password"],
        }
        broken += [f"{each.address}: {reason}" for reason, safe in kept.items() if not safe]
    return broken


def unwatched_nodes(resources: Iterable[Resource]) -> list[str]:
    """Clusters where nobody sees that a GPU is broken, so that no node is repaired for it."""
    resources = list(resources)
    watched = {
        each.values["cluster_name"]
        for each in resources
        if each.type == "aws_eks_addon" and each.values["addon_name"] == MONITORING_AGENT
    }
    return [
        each.address
        for each in resources
        if each.type == "aws_eks_cluster" and each.values["name"] not in watched
    ]


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
