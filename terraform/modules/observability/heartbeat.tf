# Prometheus alerts on everything but its own end. Its alert `Watchdog` fires for ever, Alertmanager
# publishes it here every few minutes, and silence is the alarm. Nobody subscribes.
resource "aws_sns_topic" "heartbeat" {
  name              = "${var.name}-heartbeat"
  kms_master_key_id = aws_kms_key.alerts.key_id
}

resource "aws_cloudwatch_metric_alarm" "heartbeat" {
  alarm_name          = "${var.name}-alerting-is-down"
  alarm_description   = "Prometheus or Alertmanager is down: no alert would reach anybody, and pods are not scaled."
  namespace           = "AWS/SNS"
  metric_name         = "NumberOfMessagesPublished"
  dimensions          = { TopicName = aws_sns_topic.heartbeat.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
