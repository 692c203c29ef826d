variable "bucket_name" {
  description = "Name of the bucket: unique in all of AWS, so put the account's number in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must be 3 to 63 lower-case letters, digits and hyphens; dots break TLS."
  }
}

variable "kms_key_arn" {
  description = "Key to encrypt with; null: S3's own, which costs nothing and cannot be withheld from readers."
  type        = string
  default     = null
}

variable "noncurrent_version_days" {
  description = "How long a model that was overwritten or deleted can be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_version_days >= 1
    error_message = "noncurrent_version_days must be at least 1."
  }
}
