# What AWS knows and the server does not. How long jobs wait is Prometheus' to say.
locals {
  alarms = {
    storage = {
      metric    = "FreeStorageSpace"
      below     = true
      threshold = var.storage_gib * pow(1024, 3) * 15 / 100
      says      = "The database of jobs is nearly full, though RDS enlarges it by itself."
    }
    memory = {
      metric    = "FreeableMemory"
      below     = true
      threshold = 256 * pow(1024, 2)
      says      = "The database of jobs has less than 256 MiB of memory left."
    }
    processor = {
      metric    = "CPUUtilization"
      below     = false
      threshold = 90
      says      = "The database of jobs is busy for 90 % of the time."
    }
    connections = {
      metric    = "DatabaseConnections"
      below     = false
      threshold = var.connections
      says      = "So many connections are open: a process takes six at most, and PostgreSQL refuses more than its memory is for."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "database" {
  for_each = local.alarms

  alarm_name          = "${var.name}-jobs-${each.key}"
  alarm_description   = each.value.says
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = aws_db_instance.this.identifier }
  statistic           = each.value.below ? "Minimum" : "Average"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = each.value.below ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  # An instance that reports nothing does not work.
  treat_missing_data = "breaching"
  alarm_actions      = [var.alerts_topic_arn]
  ok_actions         = [var.alerts_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "backup" {
  alarm_name          = "${var.name}-jobs-backup"
  alarm_description   = "A backup of the jobs has failed."
  namespace           = "AWS/Backup"
  metric_name         = "NumberOfBackupJobsFailed"
  dimensions          = { BackupVaultName = aws_backup_vault.this.name }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts_topic_arn]
}
