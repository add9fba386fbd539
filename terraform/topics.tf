# The three topics: audit events to the sinks, alerts to whoever listens, and Secret Manager's reminders to rotate_secrets.

locals {
  schemas = "${path.module}/../docs/schemas"

  sinks = { archive = "audit_archive", warehouse = "audit_warehouse", alerts = "audit_alerts" }
}

module "events" {
  source         = "./modules/topic"
  project        = var.project
  project_number = local.number
  region         = var.region
  name           = "${var.name}-events"
  schema         = file("${local.schemas}/wardgate.audit.proto")
  publishers     = { for name in ["guard", "audit_alerts", "rotate_secrets"] : name => module.function[name].member }
  kms_key        = module.keys.data_key
  labels         = local.labels

  push = { for name, function in local.sinks : name => {
    endpoint        = module.function[function].url
    audience        = module.function[function].url
    service_account = local.push_email
  } }

  depends_on = [google_project_service.this, google_project_service_identity.this]
}

module "alerts" {
  source         = "./modules/topic"
  project        = var.project
  project_number = local.number
  region         = var.region
  name           = "${var.name}-alerts"
  publishers     = { for name in ["audit_alerts", "rotate_secrets"] : name => module.function[name].member }
  pull           = ["listeners"]
  kms_key        = module.keys.data_key
  labels         = local.labels
  depends_on     = [google_project_service.this, google_project_service_identity.this]
}

module "reminders" {
  source         = "./modules/topic"
  project        = var.project
  project_number = local.number
  region         = var.region
  name           = "${var.name}-reminders"
  publishers     = { secret_manager = "serviceAccount:service-${local.number}@gcp-sa-secretmanager.iam.gserviceaccount.com" }
  kms_key        = module.keys.data_key
  labels         = local.labels

  push = { rotate_secrets = {
    endpoint             = "${module.function["rotate_secrets"].url}/notifications"
    audience             = module.function["rotate_secrets"].url
    service_account      = local.push_email
    ack_deadline_seconds = local.functions.rotate_secrets.timeout_seconds
    wrapped              = true
  } }

  depends_on = [google_project_service.this, google_project_service_identity.this]
}

locals {
  dead_letters = {
    alerts    = module.alerts.dead_letters
    events    = module.events.dead_letters
    reminders = module.reminders.dead_letters
  }
}
