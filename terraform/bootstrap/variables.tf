variable "approvers" {
  description = "Who may approve that a plan is applied, as principals such as group:sre@example.com."
  type        = set(string)
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for principal in var.approvers : can(regex("^(user|group|principal|principalSet):[^[:space:]]+$", principal))])
    error_message = "Each of the approvers must be a user:, group:, principal: or principalSet:."
  }
}

variable "images" {
  description = "Images with their digests, for the step of cloudbuild.yaml that builds functions' images: pack's and Google's builder. Needed with a repository."
  type = object({
    builder = optional(string, "")
    pack    = optional(string, "")
  })
  nullable = false
  default  = {}

  validation {
    condition     = alltrue([for image in values(var.images) : image == "" ? true : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "Each of the images must end in its digest, @sha256: and 64 hexadecimal digits."
  }
}

variable "name" {
  description = "Start of every name, as in the environment's root module."
  type        = string
  nullable    = false
  default     = "wardgate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,12}[a-z0-9]$", var.name))
    error_message = "The name must be 4 to 14 lower-case letters, digits or hyphens, begin with a letter and not end with a hyphen."
  }
}

variable "project" {
  description = "Id of the project that holds this environment, and nothing else."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "The project must be given by its id: 6 to 30 lower-case letters, digits or hyphens."
  }
}

variable "region" {
  description = "Region of the state and of the builds."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "The region must be a region's name, such as europe-west4."
  }
}

variable "repository" {
  description = "Repository connected to Cloud Build (projects/…/locations/…/connections/…/repositories/…), the branch that is deployed, and the folder of its root module; without an id there are no triggers."
  type = object({
    branch = optional(string, "main")
    id     = optional(string, "")
    root   = optional(string, "terraform/environments/production")
  })
  nullable = false
  default  = {}

  validation {
    condition     = can(regex("^(projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+)?$", var.repository.id))
    error_message = "The repository's id must be its full name, projects/PROJECT/locations/REGION/connections/CONNECTION/repositories/REPOSITORY."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.repository.branch))
    error_message = "The repository's branch must be a branch's name, without wildcards."
  }
}
