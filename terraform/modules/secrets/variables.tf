variable "deletion_protection" {
  description = "Whether secrets refuse to be deleted."
  type        = bool
  nullable    = false
  default     = true
}

variable "kms_key" {
  description = "Key that encrypts versions, which are then in its region alone; empty: Google's, replicated by Google."
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

variable "members" {
  description = "IAM members of the readers, by their names in secrets."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "name" {
  description = "Start of the custom role's name."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the versions where they have a key of yours."
  type        = string
  nullable    = false
}

variable "rotator" {
  description = "IAM member that makes and destroys versions."
  type        = string
  nullable    = false
}

variable "secrets" {
  description = "The secrets by name: who reads each, whether Wardgate makes its versions, and after how many days a new one is due."
  type = map(object({
    period_days = number
    readers     = set(string)
    rotated     = bool
  }))
  nullable = false

  validation {
    condition     = alltrue([for secret in values(var.secrets) : secret.period_days >= 1])
    error_message = "A secret must be due after one day or more."
  }
}

variable "topic" {
  description = "Topic that Secret Manager tells of what is due; its own account must be a publisher there."
  type        = string
  nullable    = false
}
