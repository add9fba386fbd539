# People who run Wardgate: what `wardgate --config` needs, and no more. Nobody is one unless named.

locals {
  operators      = { for principal in var.operators : principal => principal }
  operator_email = "${google_service_account.operator.account_id}@${var.project}.iam.gserviceaccount.com"
}

# Stands for operators towards guard, which makes API keys for it; it has no role of its own.
resource "google_service_account" "operator" {
  project      = var.project
  account_id   = "${var.name}-operator"
  display_name = "Wardgate: operators' calls to guard"
  depends_on   = [google_project_service.this]
}

resource "google_service_account_iam_member" "operator_tokens" {
  for_each           = local.operators
  service_account_id = "projects/${var.project}/serviceAccounts/${local.operator_email}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = each.value
}

# What operators do is in the audit trail too, so they publish and hash as guard does.
resource "google_pubsub_topic_iam_member" "operators" {
  for_each = local.operators
  project  = var.project
  topic    = module.events.name
  role     = "roles/pubsub.publisher"
  member   = each.value
}

resource "google_secret_manager_secret_iam_member" "operators" {
  for_each  = local.operators
  project   = var.project
  secret_id = module.secrets.ids["audit-pepper"]
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

resource "google_pubsub_subscription_iam_member" "operators" {
  for_each     = local.operators
  project      = var.project
  subscription = module.events.dead_letters
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

resource "google_storage_bucket_iam_member" "operators" {
  for_each = local.operators
  bucket   = module.archive.bucket
  role     = "roles/storage.objectViewer"
  member   = each.value
}

# How old each secret is, and how its rotation stands; not what it is.
resource "google_secret_manager_secret_iam_member" "operators_look" {
  for_each  = { for pair in setproduct(keys(local.operators), keys(local.secrets)) : "${pair[1]}/${pair[0]}" => pair }
  project   = var.project
  secret_id = module.secrets.ids[each.value[1]]
  role      = "roles/secretmanager.viewer"
  member    = each.value[0]
}
