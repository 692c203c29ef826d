variable "state" {
  description = "Where the infrastructure root keeps its state."
  type = object({
    bucket = string
    key    = string
    region = string
  })
}

variable "chart" {
  description = "Verbatim's chart: a path, or an OCI reference with chart_version."
  type        = string
  default     = "../../../../helm-chart"
}

variable "chart_version" {
  description = "Version of the chart where it comes from a registry."
  type        = string
  default     = null

  validation {
    condition     = !startswith(var.chart, "oci://") || var.chart_version != null
    error_message = "chart_version must be given for a chart from a registry: the newest changes under your hands."
  }
}

variable "image_tag" {
  description = "Tag of the server's image in the infrastructure's registry."
  type        = string

  validation {
    condition     = var.image_tag != "latest" && length(var.image_tag) > 0
    error_message = "image_tag must name one build; the registry's tags cannot be moved."
  }
}

variable "model_source" {
  description = "Where pods get the model: image, which has it; bucket, from model_prefix; or hub, which each new pod asks."
  type        = string
  default     = "image"

  validation {
    condition     = contains(["image", "bucket", "hub"], var.model_source)
    error_message = "model_source must be image, bucket or hub."
  }
}

variable "model" {
  description = "Model by its name or hub id: what the image was built with (BAKED_MODEL), or what the hub has. Not with a bucket."
  type        = string
  default     = "base"
}

variable "model_prefix" {
  description = "Where a CTranslate2 model lies in the models' bucket, as models/sales-de; with model_source = \"bucket\" alone."
  type        = string
  default     = null

  validation {
    condition     = var.model_prefix == null || can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.model_prefix))
    error_message = "model_prefix must have no slash at its ends."
  }

  validation {
    condition     = (var.model_prefix != null) == (var.model_source == "bucket")
    error_message = "model_prefix says where a model lies in the bucket: give it with model_source = \"bucket\", and with no other."
  }
}

variable "pulled_model" {
  description = "A model by its name or hub id, as large-v3-turbo, which a job pulls to model_prefix in the bucket, once; null: the bucket has it."
  type        = string
  default     = null

  validation {
    condition     = var.pulled_model == null || (var.model_source == "bucket" && var.pulled_model != "base")
    error_message = "pulled_model is for model_source = \"bucket\"; base is in every image."
  }
}

variable "replicas" {
  description = "Pods, of one GPU each. One serves, two survive the loss of a node or a zone."
  type = object({
    minimum = optional(number, 1)
    maximum = optional(number, 4)
  })
  default = {}

  validation {
    condition     = var.replicas.minimum >= 1
    error_message = "replicas.minimum must be at least 1: without a pod callers get a 503 for the minutes that a node takes to start, and the figure that pods are scaled by has no source."
  }

  validation {
    condition     = var.replicas.maximum >= var.replicas.minimum
    error_message = "replicas.maximum must not be below replicas.minimum."
  }
}

variable "gpu" {
  description = "What Karpenter buys: GPUs by its names, on demand unless spot, at most so many nodes, of so many vCPUs for the quota's sake, from a pinned image, whose layers are pulled side by side with parallel_pull."
  type = object({
    names     = optional(list(string), ["l4"])
    spot      = optional(bool, false)
    maximum   = optional(number, 5)
    vcpus     = optional(number, 4)
    ami_alias = string
    disk_gib  = optional(number, 100)

    parallel_pull = optional(bool, false)
  })

  validation {
    condition     = can(regex("^(al2023|bottlerocket)@v[0-9.]+$", var.gpu.ami_alias))
    error_message = "gpu.ami_alias must be al2023@v… or bottlerocket@v…: Karpenter takes the variant with the driver by itself, AL2023_GPU does not exist, and with latest AWS would roll the nodes."
  }

  validation {
    condition     = !var.gpu.parallel_pull || startswith(var.gpu.ami_alias, "al2023")
    error_message = "gpu.parallel_pull is a feature of al2023's nodeadm; Bottlerocket has a snapshotter of its own."
  }

  validation {
    condition     = length(var.gpu.names) > 0 && alltrue([for name in var.gpu.names : can(regex("^[a-z0-9-]+$", name))])
    error_message = "gpu.names must be values of karpenter.k8s.aws/instance-gpu-name: l4, l40s, a10g, h100, …"
  }

  validation {
    condition     = var.gpu.maximum > var.replicas.maximum + var.placeholders + var.workers
    error_message = "gpu.maximum must be above replicas.maximum, placeholders and workers together: a rollout starts the new pod before it ends the old one."
  }
}

variable "hours" {
  description = "Pods by the clock, each {timezone, start, end, replicas} with times in cron's notation; begin before the load."
  type = list(object({
    timezone = string
    start    = string
    end      = string
    replicas = number
  }))
  default = []

  validation {
    condition     = alltrue([for each in var.hours : each.replicas <= var.replicas.maximum])
    error_message = "hours cannot want more pods than replicas.maximum."
  }
}

variable "placeholders" {
  description = "Pods that hold a GPU node each, with the image on it, for the next server; each costs what a node costs."
  type        = number
  default     = 0
}

variable "workers" {
  description = "Pods that run jobs alone, of one GPU each: none while nothing waits, and at most so many. 0: the servers run jobs, in what live calls and requests leave free."
  type        = number
  default     = 0
}

variable "idle_timeout_seconds" {
  description = "How long the load balancer keeps a connection on which nothing moves: longer than the longest answer that is silent until its end (text, srt, vtt)."
  type        = number
  default     = 1200

  validation {
    condition     = var.idle_timeout_seconds >= 60 && var.idle_timeout_seconds <= 4000
    error_message = "idle_timeout_seconds must be 60 to 4000, the load balancer's limit."
  }
}

variable "drain_seconds" {
  description = "How long a pod that must go finishes what it has taken on; null: 300, or on Spot 90, which leaves 30 of its two minutes for the end."
  type        = number
  default     = null

  validation {
    condition     = var.drain_seconds == null || try(var.drain_seconds >= 30 && var.drain_seconds <= 3600, false)
    error_message = "drain_seconds must be 30 to 3600, the load balancer's limit of deregistration."
  }
}

variable "web_acl_arn" {
  description = "WAF in front of the load balancer. Its rules must spare uploads: AWS's common rule set blocks bodies above 8 KB (SizeRestrictions_BODY), which is every recording. See README.md."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null || can(regex("^arn:[a-z-]+:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/", var.web_acl_arn))
    error_message = "web_acl_arn must be the ARN of a regional web ACL."
  }
}

variable "inbound_cidrs" {
  description = "Networks that may call; none: everybody, by their API keys."
  type        = list(string)
  default     = []
}

variable "values" {
  description = "YAML documents that are laid over the chart's values, such as settings of the server."
  type        = list(string)
  default     = []
}
