variable "name" {
  description = "Name of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name must be 2 to 21 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version such as 1.35."
  }
}

variable "subnet_ids" {
  description = "Private subnets in at least two zones, for the control plane's interfaces and for nodes."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name at least two subnets."
  }
}

variable "public_access_cidrs" {
  description = "Networks that may reach the API server from the internet; none: only the VPC does."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "public_access_cidrs must be IPv4 ranges, and not the whole internet."
  }
}

variable "administrators" {
  description = "ARNs of IAM roles or users that administer the cluster. Who creates it gets no rights by that."
  type        = set(string)

  validation {
    condition     = length(var.administrators) > 0 && alltrue([for arn in var.administrators : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "administrators must hold at least one ARN of an IAM role or user; without one nobody can enter."
  }
}

variable "viewers" {
  description = "ARNs of IAM roles or users that may read everything but Secrets."
  type        = set(string)
  default     = []
}

variable "log_types" {
  description = "Logs of the control plane that go to CloudWatch."
  type        = set(string)
  default     = ["api", "audit", "authenticator"]

  validation {
    condition     = length(setsubtract(var.log_types, ["api", "audit", "authenticator", "controllerManager", "scheduler"])) == 0
    error_message = "log_types may hold api, audit, authenticator, controllerManager and scheduler."
  }
}

variable "log_retention_days" {
  description = "How long the control plane's logs are kept."
  type        = number
  default     = 90
}

variable "addon_versions" {
  description = "Versions of add-ons by name; one that is not named gets EKS's default for the cluster's version."
  type        = map(string)
  default     = {}
}

variable "system_nodes" {
  description = "Nodes without GPU for everything but the models: two are needed for controllers that run twice."
  type = object({
    instance_types = optional(list(string), ["m7i.large", "m6i.large"])
    count          = optional(number, 2)
    disk_gib       = optional(number, 50)
  })
  default = {}

  validation {
    condition     = var.system_nodes.count >= 2 && var.system_nodes.disk_gib >= 30
    error_message = "system_nodes need a count of at least 2, so that one can be replaced, and disks of 30 GiB."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster; turn it off, apply, then destroy."
  type        = bool
  default     = true
}
