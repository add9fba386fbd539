# The document store: a Firestore database of its own, what expires in it, and no index, since no query needs one.

resource "google_firestore_database" "this" {
  project                           = var.project
  name                              = var.name
  location_id                       = var.location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  dynamic "cmek_config" {
    for_each = compact([var.kms_key])
    content {
      kms_key_name = cmek_config.value
    }
  }
}

resource "google_firestore_backup_schedule" "daily" {
  project   = var.project
  database  = google_firestore_database.this.name
  retention = "${var.backup_days * 86400}s"

  daily_recurrence {}
}

# Firestore deletes a document some time after the moment in this field.
resource "google_firestore_field" "expires_at" {
  for_each   = var.expiring
  project    = var.project
  database   = google_firestore_database.this.name
  collection = each.value
  field      = "expires_at"

  ttl_config {}
  index_config {} # an index over rising times would make one hot spot of all writes
}

# Counts are fields of their own at the top of a document, so the exemption is for all fields.
resource "google_firestore_field" "unindexed" {
  for_each   = var.unindexed
  project    = var.project
  database   = google_firestore_database.this.name
  collection = each.value
  field      = "*"

  index_config {}
}

# --- who may use it -----------------------------------------------------------------------------

locals {
  # https://cloud.google.com/firestore/docs/manage-databases#configure_per-database_access_permissions
  only_this = "resource.name == \"projects/${var.project}/databases/${google_firestore_database.this.name}\""
}

resource "google_project_iam_member" "users" {
  for_each = var.users
  project  = var.project
  role     = "roles/datastore.user"
  member   = each.value

  condition {
    title       = "${var.name}-only"
    description = "Wardgate's database, and no other."
    expression  = local.only_this
  }
}

resource "google_project_iam_member" "viewers" {
  for_each = var.viewers
  project  = var.project
  role     = "roles/datastore.viewer"
  member   = each.value

  condition {
    title       = "${var.name}-only"
    description = "Wardgate's database, and no other."
    expression  = local.only_this
  }
}
