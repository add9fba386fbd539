# The secrets, without their values: rotate_secrets makes those of Wardgate's own, people those of upstreams.

resource "google_secret_manager_secret" "this" {
  for_each            = var.secrets
  project             = var.project
  secret_id           = each.key
  deletion_protection = var.deletion_protection
  labels              = var.labels
  # A version that was destroyed by mistake, or by somebody else, can be brought back so long.
  version_destroy_ttl = "86400s"

  replication {
    dynamic "auto" {
      for_each = toset(var.kms_key == "" ? ["google"] : [])
      content {}
    }
    dynamic "user_managed" {
      for_each = compact([var.kms_key])
      content {
        replicas {
          location = var.region
          customer_managed_encryption {
            kms_key_name = user_managed.value
          }
        }
      }
    }
  }

  rotation {
    rotation_period    = "${each.value.period_days * 86400}s"
    next_rotation_time = timeadd(plantimestamp(), "${each.value.period_days * 24}h")
  }

  topics {
    name = var.topic
  }

  lifecycle {
    # Secret Manager moves the time on, and rotate_secrets sets the aliases.
    ignore_changes = [rotation[0].next_rotation_time, version_aliases]
  }
}

# --- readers: the value by its version's number, and which versions there are --------------------

locals {
  readers = merge([for name, secret in var.secrets : {
    for reader in secret.readers : "${name}/${reader}" => { secret = name, member = var.members[reader] }
  }]...)
}

resource "google_secret_manager_secret_iam_member" "accessors" {
  for_each  = local.readers
  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value.member
}

resource "google_secret_manager_secret_iam_member" "viewers" {
  for_each  = local.readers
  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.viewer"
  member    = each.value.member
}

# --- the rotator: makes, tries, disables and destroys versions of what rotates, and looks at the rest ----

locals {
  rotated = toset([for name, secret in var.secrets : name if secret.rotated])
  unrotated = toset([
    for name, secret in var.secrets : name
    if !anytrue([secret.rotated, contains([for reader in secret.readers : var.members[reader]], var.rotator)])
  ])
}

resource "google_project_iam_custom_role" "labeller" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_secret_labeller"
  title       = "Wardgate: names versions of secrets"
  description = "Sets a secret's aliases current and previous, which no predefined role allows alone."
  permissions = ["secretmanager.secrets.get", "secretmanager.secrets.update"]
}

resource "google_secret_manager_secret_iam_member" "rotator_versions" {
  for_each  = local.rotated
  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "roles/secretmanager.secretVersionManager"
  member    = var.rotator
}

resource "google_secret_manager_secret_iam_member" "rotator_values" {
  for_each  = local.rotated
  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "roles/secretmanager.secretAccessor" # a new version is read back before anybody depends on it
  member    = var.rotator
}

resource "google_secret_manager_secret_iam_member" "rotator_labels" {
  for_each  = local.rotated
  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "projects/${var.project}/roles/${google_project_iam_custom_role.labeller.role_id}"
  member    = var.rotator
}

resource "google_secret_manager_secret_iam_member" "rotator_looks" {
  for_each  = local.unrotated
  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "roles/secretmanager.viewer" # how old it is, not what it is
  member    = var.rotator
}
