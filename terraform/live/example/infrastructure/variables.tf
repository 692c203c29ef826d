variable "account_id" {
  description = "Account to work in."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have twelve digits."
  }
}

variable "region" {
  description = "Region to work in; check that it sells the GPUs you want."
  type        = string
}

variable "name" {
  description = "Name of the cluster, and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name must be 2 to 21 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "tags" {
  description = "More tags, on everything."
  type        = map(string)
  default     = {}
}

variable "host" {
  description = "Name under which Verbatim is reached."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.host)) && endswith(var.host, ".${var.hosted_zone}")
    error_message = "host must be a name below hosted_zone, without https://."
  }
}

variable "hosted_zone" {
  description = "Public zone of Route 53, in this account, which holds the host's records."
  type        = string
}

variable "administrators" {
  description = "ARNs of IAM roles or users that administer the cluster; who applies the platform must be one."
  type        = set(string)
}

variable "viewers" {
  description = "ARNs of IAM roles or users that may read in the cluster."
  type        = set(string)
  default     = []
}

variable "public_access_cidrs" {
  description = "Networks that reach the API server from the internet; none: only the VPC does."
  type        = list(string)
  default     = []
}

variable "availability_zones" {
  description = "Two to four zones of the region, those that sell your GPUs among them. By name: a list from AWS grows when a zone is added, and subnets would move."
  type        = list(string)

  validation {
    condition     = alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "availability_zones must lie in the region."
  }
}

variable "cidr" {
  description = "Address range of the VPC, of /16 to /18."
  type        = string
  default     = "10.40.0.0/16"
}

variable "nat" {
  description = "How private subnets reach the internet: single, per_zone or none."
  type        = string
  default     = "single"
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.35"
}

variable "gpu_nodes" {
  description = "Who starts GPU nodes: karpenter, as pods ask for them; or managed, a group of fixed size with these instances."
  type = object({
    by             = optional(string, "karpenter")
    nodes          = optional(number, 1)
    instance_types = optional(list(string), ["g6.xlarge"])
    ami_type       = optional(string, "AL2023_x86_64_NVIDIA")
    spot           = optional(bool, false)
  })
  default = {}

  validation {
    condition     = contains(["karpenter", "managed"], var.gpu_nodes.by)
    error_message = "gpu_nodes.by must be karpenter or managed."
  }
}

variable "identity" {
  description = "How pods get their roles: pod_identity or irsa."
  type        = string
  default     = "pod_identity"
}

variable "alert_emails" {
  description = "Who hears of budgets, alarms and alerts."
  type        = set(string)
}

variable "monthly_budget_usd" {
  description = "What the whole account may cost in a month, in US dollars. It warns and stops nothing."
  type        = number
}

variable "activate_cost_tag" {
  description = "Show costs by the tag `project` in bills; for an account that pays for itself, a day after the first apply."
  type        = bool
  default     = false
}

variable "long_term_metrics" {
  description = "Keep metrics in Amazon Managed Prometheus as well."
  type        = bool
  default     = false
}

variable "jobs" {
  description = "PostgreSQL and a bucket for jobs, files and batches, {} for the module's own sizes; null: none."
  type = object({
    instance_class = optional(string, "db.t4g.medium")
    storage_gib    = optional(number, 50)
    copy_vault_arn = optional(string)
  })
  default = null
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster and the database of jobs; turn it off and apply before terraform destroy."
  type        = bool
  default     = true
}
