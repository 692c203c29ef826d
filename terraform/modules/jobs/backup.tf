# Beside what RDS and S3 keep by themselves: copies that neither a mistake in them nor the loss of the
# region, with copy_vault_arn, takes away.
data "aws_partition" "current" {}

resource "aws_backup_vault" "this" {
  name        = "${var.name}-jobs"
  kms_key_arn = aws_kms_key.this.arn
}

resource "aws_backup_plan" "this" {
  name = "${var.name}-jobs"

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(0 3 * * ? *)"
    start_window      = 60
    completion_window = 480

    lifecycle {
      delete_after = var.restore_days
    }

    dynamic "copy_action" {
      for_each = compact([var.copy_vault_arn])

      content {
        destination_vault_arn = copy_action.value

        lifecycle {
          delete_after = var.restore_days
        }
      }
    }
  }
}

resource "aws_iam_role" "backup" {
  name = "${var.name}-jobs-backup"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })
}

resource "aws_iam_role_policy_attachment" "backup" {
  for_each = toset([
    "service-role/AWSBackupServiceRolePolicyForBackup",
    "AWSBackupServiceRolePolicyForS3Backup",
  ])

  role       = aws_iam_role.backup.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/${each.value}"
}

resource "aws_backup_selection" "this" {
  name         = "${var.name}-jobs"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = [aws_db_instance.this.arn, aws_s3_bucket.this.arn]

  depends_on = [aws_iam_role_policy_attachment.backup]
}
