variable "name" {
  description = "Name of the role, after the cluster's and a hyphen."
  type        = string
}

variable "cluster_name" {
  description = "Cluster whose pods take the role."
  type        = string
}

variable "namespace" {
  description = "Namespace of the service account."
  type        = string
}

variable "service_account" {
  description = "Service account whose pods take the role."
  type        = string
}

variable "policies" {
  description = "What the role may do: JSON documents by name."
  type        = map(string)

  validation {
    condition     = length(var.policies) > 0 && alltrue([for document in values(var.policies) : can(jsondecode(document).Statement)])
    error_message = "policies must hold at least one JSON document with a Statement."
  }
}

variable "identity" {
  description = "pod_identity needs the agent on each node; irsa needs the two variables below and an annotation on the service account."
  type        = string
  default     = "pod_identity"

  validation {
    condition     = contains(["pod_identity", "irsa"], var.identity)
    error_message = "identity must be pod_identity or irsa."
  }
}

variable "oidc_provider_arn" {
  description = "For irsa: the cluster module's output of this name."
  type        = string
  default     = null

  validation {
    condition     = var.identity != "irsa" || var.oidc_provider_arn != null
    error_message = "irsa needs oidc_provider_arn."
  }
}

variable "oidc_issuer" {
  description = "For irsa: the cluster module's output of this name."
  type        = string
  default     = null

  validation {
    condition     = var.identity != "irsa" || var.oidc_issuer != null
    error_message = "irsa needs oidc_issuer."
  }
}
