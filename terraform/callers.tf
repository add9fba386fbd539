# The accounts that call functions from outside: one for Pub/Sub's pushes, one for Cloud Scheduler.

locals {
  push_email       = "${google_service_account.push.account_id}@${var.project}.iam.gserviceaccount.com"
  push_member      = "serviceAccount:${local.push_email}"
  scheduler_email  = "${google_service_account.scheduler.account_id}@${var.project}.iam.gserviceaccount.com"
  scheduler_member = "serviceAccount:${local.scheduler_email}"
}

resource "google_service_account" "push" {
  project      = var.project
  account_id   = "${var.name}-push"
  display_name = "Wardgate: Pub/Sub's pushes to the sinks"
  depends_on   = [google_project_service.this]
}

# Pub/Sub's own account signs the pushes' tokens in its name.
resource "google_service_account_iam_member" "push_tokens" {
  service_account_id = "projects/${var.project}/serviceAccounts/${local.push_email}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  depends_on         = [google_project_service_identity.this]
}

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "${var.name}-scheduler"
  display_name = "Wardgate: Cloud Scheduler's calls"
  depends_on   = [google_project_service.this]
}

module "rotate_job" {
  source           = "./modules/job"
  project          = var.project
  region           = var.region
  name             = "${var.name}-rotate"
  description      = "Renews secrets that are due, and takes rotations that run one step further."
  schedule         = "*/5 * * * *"
  deadline_seconds = local.functions.rotate_secrets.timeout_seconds
  url              = module.function["rotate_secrets"].url
  service_account  = local.scheduler_email
  depends_on       = [google_project_service.this]
}

module "seal_job" {
  source           = "./modules/job"
  project          = var.project
  region           = var.region
  name             = "${var.name}-seal"
  description      = "Seals what is new in the archive."
  schedule         = "*/5 * * * *"
  deadline_seconds = local.functions.audit_seal.timeout_seconds
  url              = module.function["audit_seal"].url
  service_account  = local.scheduler_email
  depends_on       = [google_project_service.this]
}
