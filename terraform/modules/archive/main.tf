# Evidence: the bucket of audit events and checkpoints, and the log bucket of what Google's own audit logs say about it.

resource "google_storage_bucket" "evidence" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs have every read and write of it; usage logs would add nothing.
  #checkov:skip=CKV_GCP_78:The retention policy forbids replacing and deleting, so that there would never be versions.
  project                     = var.project
  name                        = "${var.project}-${var.name}-evidence"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = var.labels
  force_destroy               = false

  # Until it is over nobody can delete or replace an object; once it is locked, nobody can shorten it.
  retention_policy {
    retention_period = var.retention_days * 86400
    is_locked        = var.lock
  }

  # Segments serve verification, so single events are read only by whoever looks one up.
  lifecycle_rule {
    condition {
      age            = 60
      matches_prefix = ["archive/"]
    }
    action {
      type          = "SetStorageClass"
      storage_class = "COLDLINE"
    }
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key])
    content {
      default_kms_key_name = encryption.value
    }
  }
}

resource "google_storage_bucket_iam_member" "creators" {
  for_each = var.writers
  bucket   = google_storage_bucket.evidence.name
  role     = "roles/storage.objectCreator" # creates, and cannot replace or delete
  member   = each.value
}

resource "google_storage_bucket_iam_member" "viewers" {
  for_each = var.writers
  bucket   = google_storage_bucket.evidence.name
  role     = "roles/storage.objectViewer" # an event that comes again is compared with what is there
  member   = each.value
}

# --- Google's audit logs ------------------------------------------------------------------------

resource "google_logging_project_bucket_config" "audit" {
  project        = var.project
  location       = var.region
  bucket_id      = "${var.name}-audit"
  description    = "Who changed or read what holds Wardgate's data."
  retention_days = var.retention_days
  locked         = var.lock

  dynamic "cmek_settings" {
    for_each = compact([var.kms_key])
    content {
      kms_key_name = cmek_settings.value
    }
  }
}

resource "google_logging_project_sink" "audit" {
  project                = var.project
  name                   = "${var.name}-audit"
  description            = "Google's audit logs of this project, kept as long as the evidence."
  destination            = "logging.googleapis.com/projects/${var.project}/locations/${var.region}/buckets/${google_logging_project_bucket_config.audit.bucket_id}"
  filter                 = "logName:\"projects/${var.project}/logs/cloudaudit.googleapis.com\""
  unique_writer_identity = true # in the same project it needs no grant
}

# Who reads or writes secrets, keys and evidence leaves no trace unless that is asked for.
resource "google_project_iam_audit_config" "access" {
  for_each = toset(["cloudkms.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com"])
  project  = var.project
  service  = each.value

  audit_log_config {
    log_type = "ADMIN_READ"
  }
  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
