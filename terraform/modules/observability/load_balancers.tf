# The controller makes the load balancer, so Terraform knows no name of it: these look at all of the
# account's in this region, which is the service's own (README.md).
locals {
  load_balancer_alarms = {
    "errors" = {
      about     = "The load balancer itself answered 5xx: no pod was healthy, or one closed a connection."
      query     = "SELECT SUM(HTTPCode_ELB_5XX_Count) FROM SCHEMA(\"AWS/ApplicationELB\", LoadBalancer)"
      threshold = 10
    }
    "unhealthy" = {
      about     = "A pod has been registered and unhealthy for a quarter of an hour."
      query     = "SELECT MAX(UnHealthyHostCount) FROM SCHEMA(\"AWS/ApplicationELB\", LoadBalancer, TargetGroup)"
      threshold = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "load_balancers" {
  for_each = local.load_balancer_alarms

  alarm_name          = "${var.name}-load-balancer-${each.key}"
  alarm_description   = each.value.about
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "worst"
    expression  = each.value.query
    period      = 300
    return_data = true
  }
}

# Who called when, also where no pod saw it.
resource "aws_s3_bucket" "access_logs" {
  bucket = var.access_logs_bucket
}

resource "aws_s3_bucket_public_access_block" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Load balancers write to no bucket with a key of KMS.
resource "aws_s3_bucket_server_side_encryption_configuration" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    id     = "age"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_retention_days
    }
  }
}

resource "aws_s3_bucket_policy" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LoadBalancers"
        Effect    = "Allow"
        Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.access_logs.arn}/AWSLogs/${data.aws_caller_identity.current.account_id}/*"
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.access_logs.arn, "${aws_s3_bucket.access_logs.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  # A policy that comes first is refused while the account's default blocks are changed.
  depends_on = [aws_s3_bucket_public_access_block.access_logs]
}
