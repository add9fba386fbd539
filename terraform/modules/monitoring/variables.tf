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

variable "dead_letter_subscriptions" {
  description = "Ids of the subscriptions that keep dead letters."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "host" {
  description = "Host name that guard answers under, for the uptime check; empty: there is none."
  type        = string
  nullable    = false
  default     = ""

  validation {
    condition     = can(regex("^[a-z0-9.-]*$", var.host))
    error_message = "The host must be a host name such as llm.example.com, without scheme, port or path."
  }
}

variable "name" {
  description = "Prefix of metrics, and of what people see."
  type        = string
  nullable    = false
  default     = "wardgate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "The name must begin with a lower-case letter and have at most 31 lower-case letters, digits and hyphens."
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

variable "project" {
  description = "Project that Wardgate runs in."
  type        = string
  nullable    = false
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

variable "services" {
  description = "The Cloud Run service of each function."
  type = object({
    guard           = string
    model           = string
    audit_archive   = string
    audit_warehouse = string
    audit_alerts    = string
    audit_seal      = string
    rotate_secrets  = string
  })
  nullable = false
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
