output "objects" {
  description = "Where recordings and results lie: VERBATIM_JOBS__OBJECTS."
  value       = "s3://${aws_s3_bucket.this.bucket}/jobs"
}

output "database" {
  description = "Host, port and name of the database, for the URL of VERBATIM_JOBS__DATABASE."
  value       = { host = aws_db_instance.this.address, port = local.port, name = local.database }
}

output "administrator_secret" {
  description = "ARN of RDS' secret with the administrator's name and password."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "access_policy" {
  description = "What servers and workers need, as a JSON document."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [aws_s3_bucket.this.arn]
        Condition = { StringLike = { "s3:prefix" = ["jobs", "jobs/*"] } }
      },
      {
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = ["${aws_s3_bucket.this.arn}/jobs/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.this.arn]
      },
    ]
  })
}
