variable "archive" {
  description = "How long evidence is kept, and whether that is locked. A lock can never be undone, and keeps the project from being deleted before."
  type = object({
    lock           = optional(bool, false)
    retention_days = optional(number, 400)
  })
  nullable = false
  default  = {}

  validation {
    condition     = var.archive.retention_days >= 1 ? var.archive.retention_days <= 3650 : false
    error_message = "The archive's retention_days must be between 1 and 3650."
  }
}

variable "budget" {
  description = "Monthly budget of the project, in the billing account's currency if none is given; without a billing account there is none. Needs roles/billing.costsManager on that account."
  type = object({
    amount          = optional(number, 100)
    billing_account = optional(string, "")
    currency        = optional(string, "")
  })
  nullable = false
  default  = {}

  validation {
    condition     = can(regex("^([0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6})?$", var.budget.billing_account))
    error_message = "The budget's billing_account must be of the form 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget.amount >= 1 ? floor(var.budget.amount) == var.budget.amount : false
    error_message = "The budget's amount must be a whole number of the currency's units, at least 1."
  }

  validation {
    condition     = can(regex("^([A-Z]{3})?$", var.budget.currency))
    error_message = "The budget's currency must be a code of three capital letters, such as EUR."
  }
}

variable "cmek" {
  description = "Whether all data is encrypted with a key of yours in Cloud KMS. Switch it on before there is data: most stores cannot change to it."
  type        = bool
  nullable    = false
  default     = false
}

variable "deletion_protection" {
  description = "Whether the document store, the warehouse and the secrets refuse to be deleted."
  type        = bool
  nullable    = false
  default     = true
}

variable "domains" {
  description = "Host names under which guard is served through an HTTPS load balancer with Cloud Armor; none: at its run.app address, without both."
  type        = set(string)
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for domain in var.domains : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]{2,63}$", domain))])
    error_message = "Every domain must be a full host name in lower case, such as llm.example.com."
  }
}

variable "labels" {
  description = "Labels of everything that can have them."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "locations" {
  description = "Where Firestore and BigQuery keep data; empty: in the region. Both have multi-regions, such as nam5 and US."
  type = object({
    bigquery  = optional(string, "")
    firestore = optional(string, "")
  })
  nullable = false
  default  = {}

  validation {
    condition     = var.cmek ? alltrue([for location in values(var.locations) : contains(["", var.region], location)]) : true
    error_message = "With cmek all locations must be the region, since a key serves data in its own location only."
  }
}

variable "model_armor" {
  description = "Whether there is a Model Armor template, which guard may ask."
  type        = bool
  nullable    = false
  default     = false
}

variable "name" {
  description = "Start of every name."
  type        = string
  nullable    = false
  default     = "wardgate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,12}[a-z0-9]$", var.name))
    error_message = "The name must be 4 to 14 lower-case letters, digits or hyphens, begin with a letter and not end with a hyphen, since names of service accounts begin with it."
  }
}

variable "notify" {
  description = "Who is told: e-mail addresses, Pub/Sub topics (projects/…/topics/…), and channels that exist already (projects/…/notificationChannels/…), such as of PagerDuty or Slack, whose tokens do not belong into Terraform's state."
  type = object({
    emails   = optional(set(string), [])
    topics   = optional(set(string), [])
    channels = optional(set(string), [])
  })
  nullable = false
  default  = {}

  validation {
    condition     = alltrue([for email in var.notify.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", email))])
    error_message = "Each of notify.emails must be an e-mail address."
  }

  validation {
    condition     = alltrue([for topic in var.notify.topics : can(regex("^projects/[^/]+/topics/[^/]+$", topic))])
    error_message = "Each of notify.topics must be a topic's full name, projects/PROJECT/topics/TOPIC."
  }

  validation {
    condition     = alltrue([for channel in var.notify.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "Each of notify.channels must be a channel's full name, projects/PROJECT/notificationChannels/ID."
  }
}

variable "operators" {
  description = "IAM principals that run Wardgate with its command, such as group:sre@example.com."
  type        = set(string)
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for principal in var.operators : can(regex("^(user|group|serviceAccount|principal|principalSet):", principal))])
    error_message = "Every operator must be an IAM principal, such as group:sre@example.com."
  }
}

variable "perimeter" {
  description = "VPC Service Controls around the project: the number of the organisation's access policy (empty: none), whether it is enforced or only logged, and the access levels that operators come from."
  type = object({
    access_levels = optional(set(string), [])
    access_policy = optional(string, "")
    enforce       = optional(bool, false)
  })
  nullable = false
  default  = {}

  validation {
    condition     = can(regex("^[0-9]*$", var.perimeter.access_policy))
    error_message = "The perimeter's access_policy must be the policy's number, or empty."
  }
}

variable "policy_file" {
  description = "Policy that all functions run with; empty: the one that ships with Wardgate."
  type        = string
  nullable    = false
  default     = ""

  validation {
    condition     = var.policy_file == "" ? true : fileexists(var.policy_file)
    error_message = "The policy file does not exist; give a path from where terraform runs, or one that begins with path.module."
  }
}

variable "private_ingress" {
  description = "Whether all functions but guard take calls from inside the project only; guard then reaches model through a network of its own."
  type        = bool
  nullable    = false
  default     = false
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

variable "public" {
  description = "Whether anybody may reach guard, which checks every call itself; off: only who may invoke it by IAM, which no browser can."
  type        = bool
  nullable    = false
  default     = true
}

variable "region" {
  description = "Region that the functions run in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "The region must be a region's name, such as europe-west4."
  }
}

variable "requests_per_minute" {
  description = "Requests that Cloud Armor lets one address send in a minute, where there are domains."
  type        = number
  nullable    = false
  default     = 600

  validation {
    condition     = var.requests_per_minute >= 1 ? var.requests_per_minute <= 200000 : false
    error_message = "The requests_per_minute must be between 1 and 200000."
  }
}

variable "runbooks" {
  description = "Where docs/runbooks is to be read, as an https address without a slash at its end; empty: alerts name the file."
  type        = string
  nullable    = false
  default     = ""

  validation {
    condition     = can(regex("^(https://[^[:space:]]+[^/[:space:]])?$", var.runbooks))
    error_message = "The address of the runbooks must begin with https:// and not end with a slash."
  }
}

variable "scale" {
  description = "What differs from a function's usual instances, by the function's name: how many are kept and allowed, their size, and the requests that each serves at once."
  type = map(object({
    concurrency   = optional(number)
    cpu           = optional(string)
    max_instances = optional(number)
    memory        = optional(string)
    min_instances = optional(number)
  }))
  nullable = false
  default  = {}

  validation {
    condition = alltrue([for name in keys(var.scale) : contains(
      ["guard", "model", "audit_archive", "audit_warehouse", "audit_alerts", "audit_seal", "rotate_secrets"], name
    )])
    error_message = "The scale must name functions of Wardgate: guard, model, audit_archive, audit_warehouse, audit_alerts, audit_seal or rotate_secrets."
  }

  validation {
    condition     = local.second_stage ? can(regex("^[1-9][0-9]*Gi$", coalesce(try(var.scale.guard.memory, null), "1Gi"))) : true
    error_message = "The policy switches the second stage on, which needs a memory of 1Gi at least for guard, given in Gi."
  }
}

variable "thresholds" {
  description = "When people are told."
  type = object({
    error_ratio             = optional(number, 0.05)  # of the requests within 5 minutes, if there are 20 at least
    latency_p95_ms          = optional(number, 15000) # of chats within 10 minutes
    denials                 = optional(number, 300)   # within 10 minutes
    blocks                  = optional(number, 50)    # within 10 minutes
    failed_logins           = optional(number, 300)   # within 10 minutes
    spend_per_hour          = optional(number, 20)    # in the policy's currency
    seal_minutes            = optional(number, 20)    # without a seal; one is due every 5
    rotation_silent_minutes = optional(number, 150)   # without a run of the rotation
  })
  nullable = false
  default  = {}

  validation {
    condition     = alltrue([for value in values(var.thresholds) : value > 0])
    error_message = "Every threshold must be above 0."
  }

  validation {
    condition     = var.thresholds.error_ratio <= 1
    error_message = "The threshold error_ratio must be a share of the requests, at most 1."
  }
}

variable "warehouse_retention_days" {
  description = "Days after which the warehouse deletes a day's rows."
  type        = number
  nullable    = false
  default     = 400

  validation {
    condition     = var.warehouse_retention_days >= 1
    error_message = "The warehouse_retention_days must be at least 1."
  }
}
