variable "access_levels" {
  description = "Access levels from which operators and builds come in, by their full names."
  type        = set(string)
  nullable    = false
  default     = []
}

variable "access_policy" {
  description = "Number of the organisation's access policy."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+$", var.access_policy))
    error_message = "The access policy must be given by its number."
  }
}

variable "enforce" {
  description = "Whether the perimeter refuses; otherwise it only logs what it would refuse."
  type        = bool
  nullable    = false
  default     = false
}

variable "name" {
  description = "Name of the perimeter; hyphens become underscores."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Number of the project that it encloses."
  type        = string
  nullable    = false
}
