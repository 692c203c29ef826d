mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/speech-karpenter-nodes" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:111122223333:speech-interruptions" }
  }
}

variables {
  cluster_name = "speech"
}

run "nodes_may_join" {
  assert {
    condition     = aws_eks_access_entry.nodes.type == "EC2_LINUX" && aws_eks_access_entry.nodes.principal_arn == aws_iam_role.nodes.arn
    error_message = "without an entry of this type a node never becomes ready"
  }

  assert {
    condition     = output.instance_profile == "speech-karpenter-nodes" && output.interruption_queue == "speech-interruptions"
    error_message = "names that the platform puts into the objects of Karpenter"
  }
}

run "the_controller_touches_only_its_own_cluster" {
  assert {
    condition = alltrue([
      for statement in jsondecode(local.nodes_policy).Statement :
      statement.Condition.StringEquals["aws:ResourceTag/kubernetes.io/cluster/speech"] == "owned"
      if contains(["EndOwnInstances", "StartFromOwnTemplates", "NameOwnInstances"], statement.Sid)
    ])
    error_message = "another cluster's nodes could be ended"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(local.nodes_policy).Statement :
      statement.Condition.StringEquals["aws:RequestTag/kubernetes.io/cluster/speech"] == "owned"
      if contains(["StartWithTags", "TagWhatIsStarted"], statement.Sid)
    ])
    error_message = "what is started must carry the cluster's tag"
  }

  assert {
    condition = !anytrue([
      for action in flatten([for statement in jsondecode(local.nodes_policy).Statement : statement.Action]) :
      startswith(action, "iam:") && !contains(["iam:PassRole", "iam:GetInstanceProfile", "iam:ListInstanceProfiles"], action)
    ])
    error_message = "the profile exists, so the controller makes none"
  }

  assert {
    condition = [
      for statement in jsondecode(local.nodes_policy).Statement : statement.Resource if statement.Sid == "GiveNodesTheirRole"
    ] == [["arn:aws:iam::111122223333:role/speech-karpenter-nodes"]]
    error_message = "any other role would be a way to its rights"
  }
}

run "interruptions_are_heard" {
  assert {
    condition = toset([for rule in aws_cloudwatch_event_rule.interruptions : jsondecode(rule.event_pattern)["detail-type"][0]]) == toset([
      "AWS Health Event",
      "EC2 Spot Instance Interruption Warning",
      "EC2 Instance Rebalance Recommendation",
      "EC2 Instance State-change Notification",
    ])
    error_message = "what ends a node early"
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.interruptions : target.arn == aws_sqs_queue.interruptions.arn])
    error_message = "every rule feeds the queue"
  }

  assert {
    condition = (
      length(jsondecode(aws_sqs_queue_policy.interruptions.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == 4 &&
      aws_sqs_queue.interruptions.sqs_managed_sse_enabled
    )
    error_message = "only these rules may send, and the queue is encrypted"
  }
}
