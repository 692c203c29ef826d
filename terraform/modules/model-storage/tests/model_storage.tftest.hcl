mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::speech-models" }
  }
}

variables {
  bucket_name = "speech-models"
}

run "nobody_outside_reads_and_nobody_reads_in_clear" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.models.block_public_acls,
      aws_s3_bucket_public_access_block.models.block_public_policy,
      aws_s3_bucket_public_access_block.models.ignore_public_acls,
      aws_s3_bucket_public_access_block.models.restrict_public_buckets,
    ])
    error_message = "the bucket can become public"
  }

  assert {
    condition = (
      jsondecode(aws_s3_bucket_policy.models.policy).Statement[0].Effect == "Deny" &&
      jsondecode(aws_s3_bucket_policy.models.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    )
    error_message = "requests without TLS must be denied"
  }
}

run "s3_encrypts_by_itself" {
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.models.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "without a key, S3's own"
  }

  assert {
    condition = jsondecode(output.read_policy).Statement == [
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::speech-models"] },
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::speech-models/*"] },
    ]
    error_message = "readers list and get in this bucket, no more"
  }
}

run "who_puts_models_there_deletes_none" {
  assert {
    condition = jsondecode(output.write_policy).Statement == [
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::speech-models"] },
      { Effect = "Allow", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::speech-models/*"] },
    ]
    error_message = "writers list and put in this bucket, no more"
  }
}

run "a_key_of_ones_own" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/models"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.models.rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-central-1:111122223333:key/models"
    error_message = "the key that was given"
  }

  assert {
    condition = jsondecode(output.read_policy).Statement[2] == {
      Effect = "Allow", Action = ["kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:111122223333:key/models"]
    }
    error_message = "who reads must decrypt, with this key alone"
  }
}

run "deleted_models_come_back_for_a_month" {
  assert {
    condition = (
      aws_s3_bucket_versioning.models.versioning_configuration[0].status == "Enabled" &&
      aws_s3_bucket_lifecycle_configuration.models.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30 &&
      aws_s3_bucket_lifecycle_configuration.models.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    )
    error_message = "versions are kept, but not for ever"
  }
}

run "a_name_with_dots_is_refused" {
  command = plan
  variables {
    bucket_name = "speech.models"
  }
  expect_failures = [var.bucket_name]
}

run "versions_that_live_no_day_are_refused" {
  command = plan
  variables {
    noncurrent_version_days = 0
  }
  expect_failures = [var.noncurrent_version_days]
}
