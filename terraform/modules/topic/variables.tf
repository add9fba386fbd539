variable "kms_key" {
  description = "Key that encrypts messages; empty: Google's."
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
  description = "Name of the topic, and start of the subscriptions' names."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Project's number, which names Pub/Sub's own account."
  type        = string
  nullable    = false
}

variable "publishers" {
  description = "IAM members that may publish, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "pull" {
  description = "Subscriptions to pull from, by their names after the topic's."
  type        = set(string)
  nullable    = false
  default     = []
}

variable "push" {
  description = "Where messages are pushed to, by a name for each; unless wrapped, a message's data is the body and its attributes are headers."
  type = map(object({
    ack_deadline_seconds = optional(number, 60)
    audience             = string
    endpoint             = string
    service_account      = string
    wrapped              = optional(bool, false)
  }))
  nullable = false
  default  = {}

  validation {
    condition     = alltrue([for push in values(var.push) : startswith(push.endpoint, "https://")])
    error_message = "Every push endpoint must be an https URL."
  }
}

variable "region" {
  description = "Only region that messages are kept in."
  type        = string
  nullable    = false
}

variable "schema" {
  description = "Protocol buffer that messages in JSON must fit; empty: any message is taken."
  type        = string
  nullable    = false
  default     = ""
}
