mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/verbatim/speech/containers" }
  }
  mock_resource "aws_prometheus_workspace" {
    defaults = {
      arn                 = "arn:aws:aps:eu-central-1:111122223333:workspace/ws-1"
      prometheus_endpoint = "https://aps.example.com/workspaces/ws-1/"
    }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:speech-alerts" }
  }
}

variables {
  name               = "speech"
  alert_emails       = ["oncall@example.com"]
  monthly_budget_usd = 2000
  access_logs_bucket = "speech-access-logs-111122223333"
}

run "silence_of_prometheus_is_an_alarm" {
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.heartbeat.treat_missing_data == "breaching" &&
      aws_cloudwatch_metric_alarm.heartbeat.dimensions.TopicName == "speech-heartbeat" &&
      length(jsondecode(output.alert_policy).Statement[0].Resource) == 2
    )
    error_message = "a topic that nothing is published to has no data at all"
  }
}

run "load_balancers_are_watched_and_write_down_who_called" {
  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.load_balancers)) == toset(["errors", "unhealthy"])
    error_message = "callers notice before Prometheus does"
  }

  assert {
    condition = (
      jsondecode(aws_s3_bucket_policy.access_logs.policy).Statement[0].Principal.Service == "logdelivery.elasticloadbalancing.amazonaws.com" &&
      aws_s3_bucket_public_access_block.access_logs.restrict_public_buckets &&
      aws_s3_bucket_lifecycle_configuration.access_logs.rule[0].expiration[0].days == 30
    )
    error_message = "logs are written, kept for a month, and nobody's to read"
  }
}

run "alarms_and_budgets_reach_somebody" {
  variables {
    activate_cost_tag = true
  }

  assert {
    condition     = aws_ce_cost_allocation_tag.project[0].tag_key == "project" && aws_ce_cost_allocation_tag.project[0].status == "Active"
    error_message = "bills say what the project costs"
  }

  assert {
    condition = (
      jsondecode(aws_sns_topic_policy.alerts.policy).Statement[0].Principal.Service == ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"] &&
      jsondecode(aws_kms_key.alerts.policy).Statement[1].Principal.Service == ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    )
    error_message = "who publishes must also be allowed to use the topic's key"
  }

  assert {
    condition     = aws_sns_topic_subscription.alerts["oncall@example.com"].protocol == "email"
    error_message = "the topic has no reader"
  }

  assert {
    condition = toset([
      for each in aws_budgets_budget.monthly.notification : "${each.notification_type} ${each.threshold}"
    ]) == toset(["ACTUAL 50", "ACTUAL 80", "ACTUAL 100", "FORECASTED 110"])
    error_message = "half, most, all, and more than all to come"
  }
}

run "the_quota_of_gpus_is_watched" {
  assert {
    condition = [
      for query in aws_cloudwatch_metric_alarm.gpu_quota.metric_query : query.expression if query.return_data == true
    ] == ["vcpus / SERVICE_QUOTA(vcpus) * 100"]
    error_message = "at the quota pods stay Pending without an error"
  }
}

run "what_is_not_there_is_not_watched" {
  assert {
    condition = (
      length(aws_cloudwatch_metric_alarm.nat_ports) == 0 &&
      length(aws_cloudwatch_metric_alarm.interruptions_unread) == 0 &&
      length(aws_prometheus_workspace.this) == 0 &&
      output.metrics_write_url == null && output.metrics_write_policy == null
    )
    error_message = "alarms on nothing are never heard"
  }
}

run "what_is_there_is_watched" {
  variables {
    nat_gateway_ids    = { "eu-central-1a" = "nat-1" }
    interruption_queue = "speech-interruptions"
    long_term_metrics  = true
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.nat_ports["eu-central-1a"].dimensions.NatGatewayId == "nat-1" &&
      aws_cloudwatch_metric_alarm.interruptions_unread[0].dimensions.QueueName == "speech-interruptions"
    )
    error_message = "the gateway and the queue that were named"
  }

  assert {
    condition = (
      output.metrics_write_url == "https://aps.example.com/workspaces/ws-1/api/v1/remote_write" &&
      jsondecode(output.metrics_write_policy).Statement[0].Resource == ["arn:aws:aps:eu-central-1:111122223333:workspace/ws-1"]
    )
    error_message = "Prometheus writes to this workspace alone"
  }
}

run "logs_go_to_one_group" {
  assert {
    condition     = jsondecode(output.log_write_policy).Statement[0].Resource == ["arn:aws:logs:eu-central-1:111122223333:log-group:/verbatim/speech/containers:*"]
    error_message = "the shipper writes to this group alone"
  }
}

run "alarms_to_nobody_are_refused" {
  command = plan
  variables {
    alert_emails = []
  }
  expect_failures = [var.alert_emails]
}

run "an_address_without_host_is_refused" {
  command = plan
  variables {
    alert_emails = ["oncall"]
  }
  expect_failures = [var.alert_emails]
}

run "a_budget_of_nothing_is_refused" {
  command = plan
  variables {
    monthly_budget_usd = 0
  }
  expect_failures = [var.monthly_budget_usd]
}

run "more_than_the_quota_is_refused" {
  command = plan
  variables {
    gpu_quota_percent = 120
  }
  expect_failures = [var.gpu_quota_percent]
}
