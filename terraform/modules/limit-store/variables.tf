variable "name" {
  description = "Prefix of all names: the cluster's."
  type        = string
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

variable "node_type" {
  description = "Instance type; a key's counts are a kilobyte, so the smallest has room for all."
  type        = string
  default     = "cache.t4g.micro"
}

variable "replicas" {
  description = "Copies in other zones, which take over by themselves."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas must be 0 to 5."
  }
}
