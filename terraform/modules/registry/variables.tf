variable "repositories" {
  description = "Names of the repositories, one per image."
  type        = set(string)

  validation {
    condition     = length(var.repositories) > 0 && alltrue([for name in var.repositories : can(regex("^[a-z0-9]+(?:[._/-][a-z0-9]+)*$", name))])
    error_message = "repositories must hold names such as verbatim/server."
  }
}

variable "kept_images" {
  description = "How many tagged images stay in each repository; older ones cannot be rolled back to."
  type        = number
  default     = 30

  validation {
    condition     = var.kept_images >= 2
    error_message = "kept_images must be at least 2: the running one and the one before it."
  }
}
