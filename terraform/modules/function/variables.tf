variable "build" {
  description = "What it is built of and by: the zip, the repository of images, the account that builds."
  type = object({
    repository      = string
    service_account = string
    source = object({
      bucket = string
      object = string
    })
  })
  nullable = false
}

variable "description" {
  description = "What it does, in a sentence."
  type        = string
  nullable    = false
}

variable "entry_point" {
  description = "Name of the function in its main.py, and of its folder."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment variables beside THREADS and GOOGLE_CLOUD_PROJECT."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "ingress" {
  description = "Where calls may come from, as Cloud Run functions names it."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"], var.ingress)
    error_message = "Ingress must be ALLOW_ALL, ALLOW_INTERNAL_ONLY or ALLOW_INTERNAL_AND_GCLB."
  }
}

variable "invokers" {
  description = "IAM members that may call it, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "kms_key" {
  description = "Key that encrypts the function; empty: Google's."
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

variable "name" {
  description = "Name of the function and of its service account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "The name must be 6 to 30 lower-case letters, digits or hyphens, since a service account is named so."
  }
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Project's number, which the URL holds."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region that it runs in."
  type        = string
  nullable    = false
}

variable "scale" {
  description = "How many instances of what size, and how many requests each serves at once."
  type = object({
    concurrency   = number
    cpu           = string
    max_instances = number
    memory        = string
    min_instances = number
  })
  nullable = false

  validation {
    condition     = var.scale.max_instances >= 1
    error_message = "At least one instance must be allowed."
  }
  validation {
    condition     = var.scale.min_instances <= var.scale.max_instances
    error_message = "No more instances can be kept than are allowed."
  }
  validation {
    condition     = tonumber(var.scale.cpu) >= 1 ? true : var.scale.concurrency == 1
    error_message = "An instance with less than one CPU can serve only one request at once."
  }
}

variable "subnetwork" {
  description = "Subnetwork through which it reaches private ranges; empty: it reaches none."
  type        = string
  nullable    = false
  default     = ""
}

variable "timeout_seconds" {
  description = "Longest time for one request."
  type        = number
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 ? var.timeout_seconds <= 3600 : false
    error_message = "The timeout must be between 1 and 3600 seconds."
  }
}
