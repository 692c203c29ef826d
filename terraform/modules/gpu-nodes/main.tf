# The provider's default tags do not reach what a launch template starts.
data "aws_default_tags" "current" {}

locals {
  # Bottlerocket keeps its system on xvda and everything else, images included, on xvdb.
  data_device = startswith(var.ami_type, "BOTTLEROCKET") ? "/dev/xvdb" : "/dev/xvda"
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.cluster_name}-${var.name}-"
  update_default_version = true

  block_device_mappings {
    device_name = local.data_device
    ebs {
      volume_size           = var.disk_gib
      volume_type           = "gp3"
      throughput            = 500
      iops                  = 4000
      encrypted             = true
      delete_on_termination = true
    }
  }

  # One hop: pods cannot take the node's role, they have their own by Pod Identity.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = merge(data.aws_default_tags.current.tags, { Name = "${var.cluster_name}-${var.name}" })
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_eks_node_group" "this" {
  cluster_name           = var.cluster_name
  node_group_name_prefix = "${var.name}-"
  node_role_arn          = var.node_role_arn
  subnet_ids             = var.subnet_ids
  ami_type               = var.ami_type
  instance_types         = var.instance_types
  capacity_type          = var.spot ? "SPOT" : "ON_DEMAND"

  labels = {
    "verbatim/nodes"         = "gpu"
    "nvidia.com/gpu.present" = "true"
  }

  # Whoever needs no GPU stays away from the dearest nodes.
  taint {
    key    = "nvidia.com/gpu"
    value  = "true"
    effect = "NO_SCHEDULE"
  }

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  scaling_config {
    min_size     = var.nodes
    desired_size = var.nodes
    # An update starts the new node before it drains the old one.
    max_size = var.nodes + 1
  }

  update_config {
    max_unavailable = 1
  }

  # EKS takes nodes away whose GPU fails, as the add-on eks-node-monitoring-agent finds out.
  node_repair_config {
    enabled = true
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = var.spot || length(var.instance_types) == 1
      error_message = "On demand, EKS always takes the first of instance_types: name one."
    }
  }
}
