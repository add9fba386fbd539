variable "cidr" {
  description = "Addresses of the subnetwork; Direct VPC egress takes two for each instance."
  type        = string
  nullable    = false
  default     = "10.90.0.0/24"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) ? tonumber(split("/", var.cidr)[1]) <= 26 : false
    error_message = "The subnetwork must be an IPv4 range of /26 or larger, which Direct VPC egress asks for."
  }
}

variable "labels" {
  description = "Labels of what can have them."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "name" {
  description = "Name of the network."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the subnetwork."
  type        = string
  nullable    = false
}
