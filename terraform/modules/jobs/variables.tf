variable "name" {
  description = "Prefix of all names: the cluster's."
  type        = string
}

variable "bucket_name" {
  description = "Name of the bucket, unique in all of AWS."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must be 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "vpc_id" {
  description = "VPC of the nodes."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, of two zones at least."
  type        = list(string)
}

variable "node_security_group_id" {
  description = "Security group of the nodes, which alone may connect."
  type        = string
}

variable "alerts_topic_arn" {
  description = "SNS topic that hears of alarms."
  type        = string
}

variable "instance_class" {
  description = "Class of the database; rows are small, and a worker asks little."
  type        = string
  default     = "db.t4g.medium"
}

variable "multi_az" {
  description = "Keep a second copy in another zone, which takes over by itself."
  type        = bool
  default     = true
}

variable "storage_gib" {
  description = "Disk of the database; RDS enlarges it to four times this. 50,000 lines of a batch are some hundred MB."
  type        = number
  default     = 50

  validation {
    condition     = var.storage_gib >= 20
    error_message = "storage_gib must be at least 20, the least of gp3."
  }
}

variable "connections" {
  description = "Alarm above so many connections. Each process takes six at most."
  type        = number
  default     = 300
}

variable "restore_days" {
  description = "For how many days the past can be restored: the database to any second, objects that were deleted, and daily backups."
  type        = number
  default     = 35

  validation {
    condition     = var.restore_days >= 1 && var.restore_days <= 35
    error_message = "restore_days must be 1 to 35, the limit of RDS: without backups a mistake deletes every job."
  }
}

variable "copy_vault_arn" {
  description = "Vault of AWS Backup in another region or account that gets a copy of each backup; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.copy_vault_arn == null || can(regex("^arn:[a-z-]+:backup:[a-z0-9-]+:[0-9]{12}:backup-vault:", var.copy_vault_arn))
    error_message = "copy_vault_arn must be the ARN of a backup vault."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the database; turn it off and apply before terraform destroy."
  type        = bool
  default     = true
}
