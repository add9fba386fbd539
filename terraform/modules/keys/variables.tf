variable "encrypt" {
  description = "Whether there is a key for data."
  type        = bool
  nullable    = false
  default     = false
}

variable "encrypters" {
  description = "IAM members of the services that encrypt with the key for data, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "labels" {
  description = "Labels of what can have them."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "name" {
  description = "Name of the key ring."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the keys."
  type        = string
  nullable    = false
}

variable "sealers" {
  description = "IAM members that wrap and unwrap the keys of sealed prompts, by a name for each; none: there is no such key."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "signers" {
  description = "IAM members that sign checkpoints, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "verifiers" {
  description = "IAM members that read the public key which checkpoints are verified with, by a name for each."
  type        = map(string)
  nullable    = false
  default     = {}
}
