variable "backup_days" {
  description = "Days that daily backups are kept; what was erased is in them until then."
  type        = number
  nullable    = false
  default     = 7

  validation {
    condition     = var.backup_days >= 1 ? var.backup_days <= 98 : false
    error_message = "Backups must be kept for 1 to 98 days, the longest that Firestore allows."
  }
}

variable "deletion_protection" {
  description = "Whether the database outlives its removal from the configuration."
  type        = bool
  nullable    = false
  default     = true
}

variable "expiring" {
  description = "Collections whose documents expire by the field expires_at."
  type        = set(string)
  nullable    = false
}

variable "kms_key" {
  description = "Key that encrypts the database; empty: Google's."
  type        = string
  nullable    = false
  default     = ""
}

variable "location" {
  description = "Region or multi-region of the database."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the database."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "unindexed" {
  description = "Collections of which no field is indexed."
  type        = set(string)
  nullable    = false
}

variable "users" {
  description = "IAM members that read and write documents, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "viewers" {
  description = "IAM members that only read documents, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}
