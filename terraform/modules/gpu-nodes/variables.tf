variable "cluster_name" {
  description = "Cluster that the nodes join."
  type        = string
}

variable "name" {
  description = "Name of the group, unique in the cluster."
  type        = string
  default     = "gpu"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "name must be at most 31 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "node_role_arn" {
  description = "Role of the nodes, the cluster module's."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, only those in zones where the instance types are sold."
  type        = list(string)
}

variable "ami_type" {
  description = "AL2023_x86_64_NVIDIA has the driver but not the device plugin, which the platform installs; BOTTLEROCKET_x86_64_NVIDIA has both."
  type        = string
  default     = "AL2023_x86_64_NVIDIA"

  validation {
    condition     = contains(["AL2023_x86_64_NVIDIA", "BOTTLEROCKET_x86_64_NVIDIA"], var.ami_type)
    error_message = "ami_type must be AL2023_x86_64_NVIDIA or BOTTLEROCKET_x86_64_NVIDIA: others have no driver."
  }
}

variable "instance_types" {
  description = "Types of one GPU each, the first preferred: replicas take one GPU. Several only with spot, where any of them may come."
  type        = list(string)
  default     = ["g6.xlarge"]

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for type in var.instance_types : can(regex("^(g|p)[0-9]+[a-z]*\\.", type))])
    error_message = "instance_types must be types with an NVIDIA GPU, of the families g and p."
  }
}

variable "spot" {
  description = "Buy spare capacity: cheaper, and taken back with two minutes' notice, which is shorter than a long recording. For batches, not for calls that somebody waits for."
  type        = bool
  default     = false
}

variable "nodes" {
  description = "How many there are, always: nothing scales a managed group by itself. Take the karpenter module for nodes that come and go."
  type        = number
  default     = 1

  validation {
    condition     = var.nodes >= 0 && floor(var.nodes) == var.nodes
    error_message = "nodes must be a whole number from 0."
  }
}

variable "disk_gib" {
  description = "Size of the volume for images and models."
  type        = number
  default     = 100

  validation {
    condition     = var.disk_gib >= 50
    error_message = "disk_gib must be at least 50: CUDA images and a model take 20 to 30."
  }
}
