# What Karpenter needs from AWS. Its node pools are Kubernetes objects, applied by the platform.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

resource "aws_iam_role" "nodes" {
  name = "${var.cluster_name}-karpenter-nodes"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# To join and to pull images. The network's rights are the add-on's, not the nodes'.
resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.nodes.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/${each.key}"
}

# A profile that exists saves Karpenter the right to make some: it could give any role to a node.
resource "aws_iam_instance_profile" "nodes" {
  name = aws_iam_role.nodes.name
  role = aws_iam_role.nodes.name
}

# Managed groups get theirs from EKS, Karpenter's nodes do not.
resource "aws_eks_access_entry" "nodes" {
  cluster_name  = var.cluster_name
  principal_arn = aws_iam_role.nodes.arn
  type          = "EC2_LINUX"
}

module "controller" {
  source = "../workload-identity"

  name            = "karpenter"
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  policies        = { nodes = local.nodes_policy, interruptions = local.interruptions_policy }
}
