output "topic_arn" {
  description = "Where alarms go; more alarms may be sent there."
  value       = aws_sns_topic.alerts.arn
}

output "heartbeat_topic_arn" {
  description = "Where Alertmanager publishes its Watchdog; silence there is an alarm."
  value       = aws_sns_topic.heartbeat.arn
}

output "access_logs_bucket" {
  description = "Bucket that load balancers may write access logs to."
  value       = aws_s3_bucket.access_logs.id

  depends_on = [aws_s3_bucket_policy.access_logs]
}

output "log_group" {
  description = "Log group of the containers."
  value       = aws_cloudwatch_log_group.containers.name
}

output "log_write_policy" {
  description = "What a shipper of logs needs, as a JSON document."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.containers.arn}:*"]
    }]
  })
}

output "metrics_write_url" {
  description = "Where Prometheus writes a copy of its metrics; null without long_term_metrics."
  value       = one([for workspace in aws_prometheus_workspace.this : "${workspace.prometheus_endpoint}api/v1/remote_write"])
}

output "metrics_write_policy" {
  description = "What Prometheus needs to write there, as a JSON document; null without long_term_metrics."
  value = one([for workspace in aws_prometheus_workspace.this : jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["aps:RemoteWrite"], Resource = [workspace.arn] }]
  })])
}

output "alert_policy" {
  description = "What Alertmanager needs to publish to both topics, as a JSON document."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["sns:Publish"], Resource = [aws_sns_topic.alerts.arn, aws_sns_topic.heartbeat.arn] },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [aws_kms_key.alerts.arn] },
    ]
  })
}
