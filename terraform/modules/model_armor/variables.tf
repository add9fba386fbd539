variable "labels" {
  description = "Labels of what can have them."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "name" {
  description = "Name of the template."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the template."
  type        = string
  nullable    = false
}

variable "users" {
  description = "IAM members that have texts judged, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}
