# What AWS knows and Prometheus does not. Alarms on the server itself are the chart's.

# An account starts with a quota of zero GPUs, and at the quota pods stay Pending without an error.
resource "aws_cloudwatch_metric_alarm" "gpu_quota" {
  alarm_name          = "${var.name}-gpu-quota"
  alarm_description   = "Running on-demand G and VT instances, in percent of the account's quota of vCPUs."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.gpu_quota_percent
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "percent"
    expression  = "vcpus / SERVICE_QUOTA(vcpus) * 100"
    label       = "quota in use"
    return_data = true
  }

  metric_query {
    id = "vcpus"
    metric {
      namespace   = "AWS/Usage"
      metric_name = "ResourceCount"
      period      = 300
      stat        = "Maximum"
      dimensions  = { Service = "EC2", Type = "Resource", Resource = "vCPU", Class = "G/OnDemand" }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "nat_ports" {
  for_each = var.nat_gateway_ids

  alarm_name          = "${var.name}-nat-${each.key}"
  alarm_description   = "The NAT gateway has no ports left for new connections."
  namespace           = "AWS/NATGateway"
  metric_name         = "ErrorPortAllocation"
  dimensions          = { NatGatewayId = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "interruptions_unread" {
  count = var.interruption_queue == null ? 0 : 1

  alarm_name          = "${var.name}-interruptions-unread"
  alarm_description   = "Nobody reads Karpenter's queue: nodes will end without being drained."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = var.interruption_queue }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 60
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}
