variable "functions" {
  description = "Names of the functions, as of their folders."
  type        = set(string)
  nullable    = false
}

variable "kms_key" {
  description = "Key that encrypts the sources and the images; empty: Google's."
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
  description = "Start of every name."
  type        = string
  nullable    = false
}

variable "policy_file" {
  description = "Policy that goes into every zip as policy.yaml; empty: the one that ships with Wardgate applies."
  type        = string
  nullable    = false
  default     = ""
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Project's number."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the sources and the images."
  type        = string
  nullable    = false
}

variable "second_stage" {
  description = "Whether guard's zip carries the second stage's model and the packages that run it."
  type        = bool
  nullable    = false
  default     = false
}
