output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.models.bucket
}

output "write_policy" {
  description = "What a workload needs to put models there, as a JSON document."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = [aws_s3_bucket.models.arn]
        },
        {
          Effect   = "Allow"
          Action   = ["s3:PutObject"]
          Resource = ["${aws_s3_bucket.models.arn}/*"]
        },
      ],
      [for arn in compact([var.kms_key_arn]) : {
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [arn]
      }],
    )
  })
}

output "read_policy" {
  description = "What a workload needs to read models, as a JSON document."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = [aws_s3_bucket.models.arn]
        },
        {
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = ["${aws_s3_bucket.models.arn}/*"]
        },
      ],
      [for arn in compact([var.kms_key_arn]) : {
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [arn]
      }],
    )
  })
}
