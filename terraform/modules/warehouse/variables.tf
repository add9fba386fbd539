variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  nullable    = false
  default     = true
}

variable "kms_key" {
  description = "Key that encrypts the table; empty: Google's."
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

variable "location" {
  description = "Region or multi-region of the dataset."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the dataset; hyphens become underscores."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "retention_days" {
  description = "Days after which a day's rows are deleted."
  type        = number
  nullable    = false

  validation {
    condition     = var.retention_days >= 1
    error_message = "Rows must be kept for at least one day."
  }
}

variable "writers" {
  description = "IAM members that add rows, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}
