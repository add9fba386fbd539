# The APIs that Wardgate uses, and Google's own accounts that must be there before they are granted anything.

locals {
  services = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "bigquery.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudkms.googleapis.com",
      "cloudscheduler.googleapis.com",
      "containerscanning.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
    ],
    length(local.vertex_projects) > 0 ? ["aiplatform.googleapis.com"] : [],
    anytrue([local.edge, var.private_ingress]) ? ["compute.googleapis.com"] : [],
    var.private_ingress ? ["dns.googleapis.com"] : [],
    var.budget.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
    var.model_armor ? ["modelarmor.googleapis.com"] : [],
    var.perimeter.access_policy == "" ? [] : ["accesscontextmanager.googleapis.com"],
  ))

  # Google's own accounts: those of Pub/Sub and Secret Manager always, the others where they encrypt.
  identities = toset(concat(
    ["pubsub.googleapis.com", "secretmanager.googleapis.com"],
    var.cmek ? [
      "artifactregistry.googleapis.com",
      "cloudfunctions.googleapis.com",
      "firestore.googleapis.com",
      "run.googleapis.com",
    ] : [],
  ))

  encrypters = {
    artifactregistry = "serviceAccount:service-${local.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    bigquery         = "serviceAccount:bq-${local.number}@bigquery-encryption.iam.gserviceaccount.com"
    cloudfunctions   = "serviceAccount:service-${local.number}@gcf-admin-robot.iam.gserviceaccount.com"
    firestore        = "serviceAccount:service-${local.number}@gcp-sa-firestore.iam.gserviceaccount.com"
    pubsub           = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    run              = "serviceAccount:service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"
    logging          = join("", [for settings in data.google_logging_project_cmek_settings.this : "serviceAccount:${settings.service_account_id}"])
    secretmanager    = "serviceAccount:service-${local.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    storage          = "serviceAccount:service-${local.number}@gs-project-accounts.iam.gserviceaccount.com"
  }
}

resource "google_project_service" "this" {
  for_each           = local.services
  project            = var.project
  service            = each.value
  disable_on_destroy = false # others in the project may use it
}

resource "google_project_service_identity" "this" {
  provider   = google-beta
  for_each   = local.identities
  project    = var.project
  service    = each.value
  depends_on = [google_project_service.this]
}

# These come to be when they are asked for.
data "google_logging_project_cmek_settings" "this" {
  for_each = toset(var.cmek ? ["logging"] : [])
  project  = var.project
}

data "google_storage_project_service_account" "this" {
  for_each   = toset(var.cmek ? ["storage"] : [])
  project    = var.project
  depends_on = [google_project_service.this]
}

data "google_bigquery_default_service_account" "this" {
  for_each   = toset(var.cmek ? ["bigquery"] : [])
  project    = var.project
  depends_on = [google_project_service.this]
}
