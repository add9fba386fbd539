variable "domains" {
  description = "Host names of the certificate; their DNS must lead to the address."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.domains) >= 1
    error_message = "At least one domain is needed, since a managed certificate is made for names."
  }
}

variable "labels" {
  description = "Labels of what can have them."
  type        = map(string)
  nullable    = false
  default     = {}
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
  description = "Region of the function."
  type        = string
  nullable    = false
}

variable "requests_per_minute" {
  description = "Requests that one address may send in a minute; five times that ban it for five minutes."
  type        = number
  nullable    = false
  default     = 600

  validation {
    condition     = var.requests_per_minute >= 1 ? var.requests_per_minute <= 200000 : false
    error_message = "Requests per minute must be between 1 and 200000, so that Cloud Armor takes the fivefold too."
  }
}

variable "service" {
  description = "Name of the Cloud Run service behind it."
  type        = string
  nullable    = false
}
