variable "name" {
  description = "Prefix of all names, and the cluster that Karpenter looks for subnets of."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name must be 2 to 21 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "cidr" {
  description = "Address range of the VPC. Each pod takes an address of its own."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.cidr)[1]), 32) <= 18
    error_message = "cidr must be an IPv4 range of /16 to /18: smaller ones leave load balancers fewer than the /27 they need."
  }
}

variable "availability_zones" {
  description = "Zones to have subnets in. EKS wants two; GPUs are not sold in every zone, so take three."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 4 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must name two to four different zones."
  }
}

variable "nat" {
  description = "How private subnets reach the internet: one gateway, which is one point of failure; one in each zone; or none, where every service must have an endpoint and images must come from ECR."
  type        = string
  default     = "single"

  validation {
    condition     = contains(["single", "per_zone", "none"], var.nat)
    error_message = "nat must be single, per_zone or none."
  }
}

variable "interface_endpoints" {
  description = "Services reached inside the VPC, by the last part of their endpoint's name. S3 always has a gateway endpoint, which costs nothing."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr"]
}

variable "flow_log_retention_days" {
  description = "How long rejected connections are kept in CloudWatch; null keeps no log."
  type        = number
  default     = 30
  nullable    = true

  validation {
    condition     = var.flow_log_retention_days == null || contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], coalesce(var.flow_log_retention_days, 30))
    error_message = "flow_log_retention_days must be a period that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365."
  }
}
