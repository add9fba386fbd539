# A VPC Service Controls perimeter around the project: its data cannot be copied out, whatever credentials somebody has.

locals {
  services = [
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudkms.googleapis.com",
    "firestore.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ]
}

resource "google_access_context_manager_service_perimeter" "this" {
  parent                    = "accessPolicies/${var.access_policy}"
  name                      = "accessPolicies/${var.access_policy}/servicePerimeters/${replace(var.name, "-", "_")}"
  title                     = "${var.name} ${var.project_number}"
  perimeter_type            = "PERIMETER_TYPE_REGULAR"
  use_explicit_dry_run_spec = !var.enforce

  # What a dry run would refuse is only logged.
  dynamic "spec" {
    for_each = toset(var.enforce ? [] : ["dry run"])
    content {
      resources           = ["projects/${var.project_number}"]
      restricted_services = local.services
      access_levels       = var.access_levels
    }
  }

  dynamic "status" {
    for_each = toset(var.enforce ? ["enforced"] : [])
    content {
      resources           = ["projects/${var.project_number}"]
      restricted_services = local.services
      access_levels       = var.access_levels
    }
  }
}
