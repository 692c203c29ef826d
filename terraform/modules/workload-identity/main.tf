locals {
  pod_identity = var.identity == "pod_identity"
  # A key of an object cannot be null, not even in the document that is not used.
  issuer = coalesce(var.oidc_issuer, "none")

  trust = {
    pod_identity = {
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }
    irsa = {
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      # Both, and exact: with a wildcard any service account could take the role.
      Condition = {
        StringEquals = {
          "${local.issuer}:sub" = "system:serviceaccount:${var.namespace}:${var.service_account}"
          "${local.issuer}:aud" = "sts.amazonaws.com"
        }
      }
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.cluster_name}-${var.name}"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [local.trust[var.identity]] })
}

resource "aws_iam_role_policy" "this" {
  for_each = var.policies

  name   = each.key
  role   = aws_iam_role.this.name
  policy = each.value
}

resource "aws_eks_pod_identity_association" "this" {
  count = local.pod_identity ? 1 : 0

  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.this.arn
}
