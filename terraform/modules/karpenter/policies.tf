# After the permissions of Karpenter's own CloudFormation template, less those that make instance
# profiles: https://karpenter.sh/docs/reference/cloudformation/. It may touch only what carries the
# tags of its own cluster.
locals {
  ec2          = "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}"
  cluster_tag  = "kubernetes.io/cluster/${var.cluster_name}"
  created      = ["fleet", "instance", "launch-template", "network-interface", "spot-instances-request", "volume"]
  created_arns = [for kind in local.created : "${local.ec2}:*:${kind}/*"]
  requested = {
    StringEquals = {
      "aws:RequestTag/${local.cluster_tag}" = "owned"
      "aws:RequestTag/eks:eks-cluster-name" = var.cluster_name
    }
    StringLike = { "aws:RequestTag/karpenter.sh/nodepool" = "*" }
  }
  owned = {
    StringEquals = { "aws:ResourceTag/${local.cluster_tag}" = "owned" }
    StringLike   = { "aws:ResourceTag/karpenter.sh/nodepool" = "*" }
  }

  nodes_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "StartFromWhatExists"
        Effect = "Allow"
        Action = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource = [
          "${local.ec2}::image/*",
          "${local.ec2}::snapshot/*",
          "${local.ec2}:*:capacity-reservation/*",
          "${local.ec2}:*:security-group/*",
          "${local.ec2}:*:subnet/*",
        ]
      },
      {
        Sid       = "StartFromOwnTemplates"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource  = ["${local.ec2}:*:launch-template/*"]
        Condition = local.owned
      },
      {
        Sid       = "StartWithTags"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:RunInstances"]
        Resource  = local.created_arns
        Condition = local.requested
      },
      {
        Sid      = "TagWhatIsStarted"
        Effect   = "Allow"
        Action   = ["ec2:CreateTags"]
        Resource = local.created_arns
        Condition = {
          StringEquals = merge(local.requested.StringEquals, {
            "ec2:CreateAction" = ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]
          })
          StringLike = local.requested.StringLike
        }
      },
      {
        Sid      = "NameOwnInstances"
        Effect   = "Allow"
        Action   = ["ec2:CreateTags"]
        Resource = ["${local.ec2}:*:instance/*"]
        Condition = merge(local.owned, {
          StringEqualsIfExists        = { "aws:RequestTag/eks:eks-cluster-name" = var.cluster_name }
          "ForAllValues:StringEquals" = { "aws:TagKeys" = ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"] }
        })
      },
      {
        Sid       = "EndOwnInstances"
        Effect    = "Allow"
        Action    = ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"]
        Resource  = ["${local.ec2}:*:instance/*", "${local.ec2}:*:launch-template/*"]
        Condition = local.owned
      },
      {
        Sid    = "See"
        Effect = "Allow"
        Action = [
          "ec2:DescribeCapacityReservations",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceStatus",
          "ec2:DescribeInstanceTypeOfferings",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeInstances",
          "ec2:DescribeLaunchTemplates",
          "ec2:DescribePlacementGroups",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSpotPriceHistory",
          "ec2:DescribeSubnets",
        ]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = data.aws_region.current.region } }
      },
      {
        Sid      = "FindImages"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.region}::parameter/aws/service/*"]
      },
      {
        Sid      = "ComparePrices"
        Effect   = "Allow"
        Action   = ["pricing:GetProducts"]
        Resource = "*"
      },
      {
        Sid       = "GiveNodesTheirRole"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.nodes.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
      {
        Sid      = "SeeProfiles"
        Effect   = "Allow"
        Action   = ["iam:GetInstanceProfile"]
        Resource = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:instance-profile/*"]
      },
      {
        # For those that it made and forgot, even where it makes none.
        Sid      = "ListProfiles"
        Effect   = "Allow"
        Action   = ["iam:ListInstanceProfiles"]
        Resource = "*"
      },
      {
        Sid      = "FindCluster"
        Effect   = "Allow"
        Action   = ["eks:DescribeCluster"]
        Resource = ["arn:${data.aws_partition.current.partition}:eks:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:cluster/${var.cluster_name}"]
      },
    ]
  })

  interruptions_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
      Resource = [aws_sqs_queue.interruptions.arn]
    }]
  })
}
