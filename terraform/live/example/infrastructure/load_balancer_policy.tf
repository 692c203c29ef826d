# After the policy that the AWS Load Balancer Controller publishes (docs/install/iam_policy.json), for
# what we use of it: application load balancers, a certificate of ACM, WAF. It changes only what
# carries its cluster's tag.
data "aws_partition" "current" {}

locals {
  load_balancing = "arn:${data.aws_partition.current.partition}:elasticloadbalancing:${var.region}:${var.account_id}"
  ec2            = "arn:${data.aws_partition.current.partition}:ec2:${var.region}:${var.account_id}"
  own            = { StringEquals = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = var.name } }
  to_be_own      = { StringEquals = { "aws:RequestTag/elbv2.k8s.aws/cluster" = var.name } }

  load_balancer_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "FirstLoadBalancerOfAnAccount"
        Effect    = "Allow"
        Action    = ["iam:CreateServiceLinkedRole"]
        Resource  = "*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.amazonaws.com" } }
      },
      {
        Sid    = "See"
        Effect = "Allow"
        Action = [
          "acm:DescribeCertificate",
          "acm:ListCertificates",
          "ec2:DescribeAccountAttributes",
          "ec2:DescribeAddresses",
          "ec2:DescribeAvailabilityZones",
          "ec2:DescribeCoipPools",
          "ec2:DescribeInstances",
          "ec2:DescribeInternetGateways",
          "ec2:DescribeIpamPools",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeTags",
          "ec2:DescribeVpcPeeringConnections",
          "ec2:DescribeVpcs",
          "ec2:GetCoipPoolUsage",
          "ec2:GetSecurityGroupsForVpc",
          "elasticloadbalancing:DescribeCapacityReservation",
          "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListenerCertificates",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes",
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeSSLPolicies",
          "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
          "elasticloadbalancing:DescribeTrustStores",
          "shield:GetSubscriptionState",
          "wafv2:GetWebACL",
          "wafv2:GetWebACLForResource",
        ]
        Resource = "*"
      },
      {
        Sid      = "PutBehindWaf"
        Effect   = "Allow"
        Action   = ["elasticloadbalancing:SetWebAcl", "wafv2:AssociateWebACL", "wafv2:DisassociateWebACL"]
        Resource = ["${local.load_balancing}:loadbalancer/app/*", "arn:${data.aws_partition.current.partition}:wafv2:${var.region}:${var.account_id}:regional/webacl/*"]
      },
      {
        Sid      = "MakeGroups"
        Effect   = "Allow"
        Action   = ["ec2:CreateSecurityGroup"]
        Resource = ["${local.ec2}:security-group/*", "${local.ec2}:vpc/*"]
      },
      {
        Sid      = "TagNewGroups"
        Effect   = "Allow"
        Action   = ["ec2:CreateTags"]
        Resource = ["${local.ec2}:security-group/*"]
        Condition = { StringEquals = {
          "aws:RequestTag/elbv2.k8s.aws/cluster" = var.name
          "ec2:CreateAction"                     = "CreateSecurityGroup"
        } }
      },
      {
        Sid       = "ChangeOwnGroups"
        Effect    = "Allow"
        Action    = ["ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags"]
        Resource  = ["${local.ec2}:security-group/*"]
        Condition = local.own
      },
      {
        # The group of the nodes carries EKS's tag and not the controller's: it must let the load
        # balancer in.
        Sid       = "LetLoadBalancersIn"
        Effect    = "Allow"
        Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
        Resource  = ["${local.ec2}:security-group/*"]
        Condition = { ArnEquals = { "ec2:Vpc" = "${local.ec2}:vpc/${module.network.vpc_id}" } }
      },
      {
        Sid       = "Make"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
        Resource  = ["${local.load_balancing}:loadbalancer/app/*", "${local.load_balancing}:targetgroup/*"]
        Condition = local.to_be_own
      },
      {
        Sid    = "TagNew"
        Effect = "Allow"
        Action = ["elasticloadbalancing:AddTags"]
        Resource = [
          "${local.load_balancing}:listener-rule/app/*",
          "${local.load_balancing}:listener/app/*",
          "${local.load_balancing}:loadbalancer/app/*",
          "${local.load_balancing}:targetgroup/*",
        ]
        Condition = { StringEquals = {
          "aws:RequestTag/elbv2.k8s.aws/cluster" = var.name
          "elasticloadbalancing:CreateAction"    = ["CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup"]
        } }
      },
      {
        Sid    = "ChangeOwn"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddTags",
          "elasticloadbalancing:DeleteLoadBalancer",
          "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:ModifyCapacityReservation",
          "elasticloadbalancing:ModifyIpPools",
          "elasticloadbalancing:ModifyListenerAttributes",
          "elasticloadbalancing:ModifyLoadBalancerAttributes",
          "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes",
          "elasticloadbalancing:RemoveTags",
          "elasticloadbalancing:SetIpAddressType",
          "elasticloadbalancing:SetSecurityGroups",
          "elasticloadbalancing:SetSubnets",
        ]
        Resource  = ["${local.load_balancing}:*"]
        Condition = local.own
      },
      {
        # Without a condition on tags, as in the controller's own policy: it does not tag all of these.
        Sid    = "ChangeListenersAndTargets"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddListenerCertificates",
          "elasticloadbalancing:CreateListener",
          "elasticloadbalancing:CreateRule",
          "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:DeleteRule",
          "elasticloadbalancing:DeregisterTargets",
          "elasticloadbalancing:ModifyListener",
          "elasticloadbalancing:ModifyRule",
          "elasticloadbalancing:RegisterTargets",
          "elasticloadbalancing:RemoveListenerCertificates",
          "elasticloadbalancing:SetRulePriorities",
        ]
        Resource = [
          "${local.load_balancing}:listener-rule/app/*",
          "${local.load_balancing}:listener/app/*",
          "${local.load_balancing}:loadbalancer/app/*",
          "${local.load_balancing}:targetgroup/*",
        ]
      },
    ]
  })
}
