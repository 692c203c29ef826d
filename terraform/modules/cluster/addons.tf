# Nodes become ready only with a network, and the network add-on gets its rights from the agent. So
# these come before the first node, the others after it: their pods need a node to be healthy.
locals {
  addons_before_nodes = {
    "eks-pod-identity-agent" = {}
    "kube-proxy"             = {}
    "vpc-cni" = {
      service_account = "aws-node"
      policy          = "AmazonEKS_CNI_Policy"
      # Enforces the NetworkPolicy objects of the charts, which are otherwise only words.
      configuration = jsonencode({ enableNetworkPolicy = "true" })
    }
  }
  addons_after_nodes = {
    "coredns" = {}
    # Sees what the kubelet does not, as a GPU's Xid, and says so in the node's conditions; repair acts
    # on them.
    "eks-node-monitoring-agent" = {}
    "aws-ebs-csi-driver" = {
      service_account = "ebs-csi-controller-sa"
      policy          = "service-role/AmazonEBSCSIDriverPolicy"
    }
  }
  addon_roles = {
    for name, addon in merge(local.addons_before_nodes, local.addons_after_nodes) :
    name => addon.policy if can(addon.policy)
  }
}

resource "aws_iam_role" "addon" {
  for_each = local.addon_roles

  name_prefix = substr("${var.name}-${each.key}-", 0, 38)
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }]
  })
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each = local.addon_roles

  role       = aws_iam_role.addon[each.key].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/${each.value}"
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name         = aws_eks_cluster.this.name
  addon_name           = each.key
  addon_version        = lookup(var.addon_versions, each.key, null)
  configuration_values = try(each.value.configuration, null)
  # What somebody set in the cluster by hand stays.
  resolve_conflicts_on_update = "PRESERVE"

  dynamic "pod_identity_association" {
    for_each = can(each.value.policy) ? [each.value.service_account] : []
    content {
      role_arn        = aws_iam_role.addon[each.key].arn
      service_account = pod_identity_association.value
    }
  }

  depends_on = [aws_iam_role_policy_attachment.addon]
}

resource "aws_eks_addon" "after_nodes" {
  for_each = local.addons_after_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  resolve_conflicts_on_update = "PRESERVE"

  dynamic "pod_identity_association" {
    for_each = can(each.value.policy) ? [each.value.service_account] : []
    content {
      role_arn        = aws_iam_role.addon[each.key].arn
      service_account = pod_identity_association.value
    }
  }

  depends_on = [aws_eks_node_group.system, aws_iam_role_policy_attachment.addon]
}
