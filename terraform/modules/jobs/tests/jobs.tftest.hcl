mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::speech-jobs" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/jobs" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      arn                = "arn:aws:rds:eu-central-1:111122223333:db:speech-jobs"
      address            = "speech-jobs.example.com"
      master_user_secret = [{ kms_key_id = "", secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds", secret_status = "active" }]
    }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/speech-jobs-backup" }
  }
}

variables {
  name                   = "speech"
  bucket_name            = "speech-jobs"
  vpc_id                 = "vpc-1"
  subnet_ids             = ["subnet-1", "subnet-2"]
  node_security_group_id = "sg-nodes"
  alerts_topic_arn       = "arn:aws:sns:eu-central-1:111122223333:speech-alerts"
}

run "nodes_alone_reach_the_database_by_tls" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" &&
      aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null &&
      !aws_db_instance.this.publicly_accessible &&
      { for each in aws_db_parameter_group.this.parameter : each.name => each.value } == { "rds.force_ssl" = "1" }
    )
    error_message = "it holds what callers say"
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "a password of Terraform's is in its state"
  }

  assert {
    condition = (
      output.database == { host = "speech-jobs.example.com", port = 5432, name = "verbatim" } &&
      output.administrator_secret == "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds"
    )
    error_message = "the parts of the URL"
  }
}

run "the_loss_of_a_zone_or_a_mistake_is_survived" {
  assert {
    condition = (
      aws_db_instance.this.multi_az &&
      aws_db_instance.this.deletion_protection &&
      !aws_db_instance.this.skip_final_snapshot &&
      aws_db_instance.this.backup_retention_period == 35
    )
    error_message = "jobs that were accepted are not lost"
  }

  assert {
    condition = (
      aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" &&
      aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 35
    )
    error_message = "a restored database finds its objects, as long as it can be restored"
  }

  assert {
    condition = (
      aws_backup_selection.this.resources == toset(["arn:aws:rds:eu-central-1:111122223333:db:speech-jobs", "arn:aws:s3:::speech-jobs"]) &&
      one(aws_backup_plan.this.rule).lifecycle[0].delete_after == 35 &&
      length(one(aws_backup_plan.this.rule).copy_action) == 0
    )
    error_message = "both are backed up, here alone unless a vault elsewhere is named"
  }
}

run "everything_has_one_key" {
  assert {
    condition = alltrue([
      for key in [
        aws_db_instance.this.kms_key_id,
        aws_backup_vault.this.kms_key_arn,
        one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id,
      ] : key == "arn:aws:kms:eu-central-1:111122223333:key/jobs"
    ])
    error_message = "taking it away takes away everything"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_db_instance.this.storage_encrypted
    error_message = "AWS makes it anew each year"
  }
}

run "nobody_outside_reads_and_nobody_reads_in_clear" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
      jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false",
    ])
    error_message = "the bucket can become public"
  }
}

run "servers_reach_their_prefix_and_no_more" {
  assert {
    condition = jsondecode(output.access_policy).Statement == [
      {
        Effect    = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::speech-jobs"],
        Condition = { StringLike = { "s3:prefix" = ["jobs", "jobs/*"] } }
      },
      {
        Effect   = "Allow", Action = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        Resource = ["arn:aws:s3:::speech-jobs/jobs/*"]
      },
      {
        Effect   = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"],
        Resource = ["arn:aws:kms:eu-central-1:111122223333:key/jobs"]
      },
    ]
    error_message = "the bucket, the prefix and the key, and no other"
  }

  assert {
    condition     = output.objects == "s3://speech-jobs/jobs"
    error_message = "the prefix that the policy is about"
  }
}

run "alarms_reach_the_topic" {
  assert {
    condition = (
      toset([for each in aws_cloudwatch_metric_alarm.database : each.metric_name]) == toset(["FreeStorageSpace", "FreeableMemory", "CPUUtilization", "DatabaseConnections"]) &&
      alltrue([for each in aws_cloudwatch_metric_alarm.database : each.treat_missing_data == "breaching" && each.alarm_actions == toset(["arn:aws:sns:eu-central-1:111122223333:speech-alerts"])]) &&
      aws_cloudwatch_metric_alarm.backup.alarm_actions == toset(["arn:aws:sns:eu-central-1:111122223333:speech-alerts"])
    )
    error_message = "somebody hears that the disk is full"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.database["storage"].threshold == 8053063680 && aws_cloudwatch_metric_alarm.database["storage"].comparison_operator == "LessThanThreshold"
    error_message = "15 % of 50 GiB"
  }
}

run "a_copy_in_another_region" {
  variables {
    copy_vault_arn = "arn:aws:backup:eu-west-1:111122223333:backup-vault:speech-jobs"
  }

  assert {
    condition     = one(one(aws_backup_plan.this.rule).copy_action).destination_vault_arn == "arn:aws:backup:eu-west-1:111122223333:backup-vault:speech-jobs"
    error_message = "the loss of a region is survived"
  }
}

run "no_backups_are_refused" {
  command = plan
  variables {
    restore_days = 0
  }
  expect_failures = [var.restore_days]
}

run "a_vault_that_is_none_is_refused" {
  command = plan
  variables {
    copy_vault_arn = "speech-jobs"
  }
  expect_failures = [var.copy_vault_arn]
}

run "a_bucket_with_dots_is_refused" {
  command = plan
  variables {
    bucket_name = "speech.jobs"
  }
  expect_failures = [var.bucket_name]
}

run "too_small_a_disk_is_refused" {
  command = plan
  variables {
    storage_gib = 10
  }
  expect_failures = [var.storage_gib]
}
