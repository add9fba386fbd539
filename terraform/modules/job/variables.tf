variable "deadline_seconds" {
  description = "Longest time for one call."
  type        = number
  nullable    = false

  validation {
    condition     = var.deadline_seconds >= 15 ? var.deadline_seconds <= 1800 : false
    error_message = "The deadline must be between 15 and 1800 seconds, as Cloud Scheduler has it."
  }
}

variable "description" {
  description = "What the call is for, in a sentence."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the job."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the job."
  type        = string
  nullable    = false
}

variable "schedule" {
  description = "When it calls, in cron's notation and UTC."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "E-mail address of the service account that calls."
  type        = string
  nullable    = false
}

variable "url" {
  description = "Function that is called; also the token's audience."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.url, "https://")
    error_message = "The function's address must be an https URL."
  }
}
