variable "cluster_name" {
  description = "Cluster that Karpenter starts nodes for."
  type        = string
}

variable "namespace" {
  description = "Namespace of the controller."
  type        = string
  default     = "kube-system"
}

variable "service_account" {
  description = "Service account of the controller."
  type        = string
  default     = "karpenter"
}
