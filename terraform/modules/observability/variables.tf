variable "name" {
  description = "Prefix of all names: the cluster's."
  type        = string
}

variable "alert_emails" {
  description = "Who hears of budgets and alarms. Each address must confirm a mail first."
  type        = set(string)

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "alert_emails must hold at least one address: alarms that nobody hears cost money only."
  }
}

variable "monthly_budget_usd" {
  description = "What the whole account may cost in a month, in US dollars. It warns and stops nothing."
  type        = number

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be above zero."
  }
}

variable "activate_cost_tag" {
  description = "Show costs by the tag `project` in bills; for an account that pays for itself, a day after the first apply."
  type        = bool
  default     = false
}

variable "access_logs_bucket" {
  description = "Name of the bucket for the load balancer's access logs, unique in all of AWS."
  type        = string
}

variable "log_retention_days" {
  description = "How long the logs of containers and of the load balancer are kept."
  type        = number
  default     = 30
}

variable "long_term_metrics" {
  description = "A workspace of Amazon Managed Prometheus: 150 days of metrics that outlive the cluster."
  type        = bool
  default     = false
}

variable "nat_gateway_ids" {
  description = "NAT gateways to watch, by zone."
  type        = map(string)
  default     = {}
}

variable "interruption_queue" {
  description = "Karpenter's queue, to hear when nobody reads it; null without Karpenter."
  type        = string
  default     = null
}

variable "gpu_quota_percent" {
  description = "How much of the account's quota of GPU vCPUs may be in use before an alarm: at 100 no node starts."
  type        = number
  default     = 80

  validation {
    condition     = var.gpu_quota_percent > 0 && var.gpu_quota_percent <= 100
    error_message = "gpu_quota_percent must be above 0 and at most 100."
  }
}
