variable "kms_key" {
  description = "Key that encrypts the evidence; empty: Google's."
  type        = string
  nullable    = false
  default     = ""
}

variable "labels" {
  description = "Labels of what can have them."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "lock" {
  description = "Whether the retention is locked for good: nobody, Google included, can shorten it or delete the project's evidence before."
  type        = bool
  nullable    = false
  default     = false
}

variable "name" {
  description = "Start of every name."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the evidence."
  type        = string
  nullable    = false
}

variable "retention_days" {
  description = "Days that evidence is kept."
  type        = number
  nullable    = false

  validation {
    condition     = var.retention_days >= 1 ? var.retention_days <= 3650 : false
    error_message = "Evidence must be kept for 1 to 3650 days, the longest that a log bucket allows."
  }
}

variable "writers" {
  description = "IAM members that add evidence and read it, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}
