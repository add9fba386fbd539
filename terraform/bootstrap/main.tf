# What there must be before the first plan: a bucket for Terraform's state, and the accounts that check and deploy.
# Applied once, by a person; its own state stays with them, and can be made again by import.

locals {
  services = toset(["cloudbuild.googleapis.com", "cloudresourcemanager.googleapis.com", "iam.googleapis.com", "storage.googleapis.com"])

  check_email  = "${google_service_account.check.account_id}@${var.project}.iam.gserviceaccount.com"
  deploy_email = "${google_service_account.deploy.account_id}@${var.project}.iam.gserviceaccount.com"
  check        = "serviceAccount:${local.check_email}"
  deploy       = "serviceAccount:${local.deploy_email}"

  # What a plan reads: settings and bindings, and no secret's value, object, row or document.
  check_roles = toset([
    "roles/artifactregistry.reader",
    "roles/bigquery.metadataViewer",
    "roles/browser",
    "roles/cloudfunctions.viewer",
    "roles/cloudkms.viewer",
    "roles/cloudscheduler.viewer",
    "roles/compute.viewer",
    "roles/dns.reader",
    "roles/iam.securityReviewer",
    "roles/logging.logWriter",
    "roles/logging.viewer",
    "roles/modelarmor.viewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageViewer",
  ])

  # What an apply makes, by service. None of these reads a secret's value but through a grant of its own.
  deploy_roles = toset([
    "roles/artifactregistry.admin",
    "roles/bigquery.admin",
    "roles/cloudfunctions.admin",
    "roles/cloudkms.admin",
    "roles/cloudscheduler.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/datastore.owner",
    "roles/dns.admin",
    "roles/iam.roleAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/logging.configWriter",
    "roles/logging.logWriter",
    "roles/modelarmor.admin",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
  ])

  # The roles that the environment grants on the project; the deploy account may grant no other.
  granted_roles = [
    "roles/aiplatform.user",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/logging.logWriter",
    "roles/modelarmor.user",
    "roles/storage.objectViewer",
  ]
}

resource "google_project_service" "this" {
  for_each           = local.services
  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

# --- the state ---------------------------------------------------------------------------------

resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs have every read and write of it; usage logs would add nothing.
  project                     = var.project
  name                        = "${var.project}-${var.name}-state"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = { product = var.name }

  versioning {
    enabled = true
  }

  # A plan is applied soon or not at all.
  lifecycle_rule {
    condition {
      age            = 30
      matches_prefix = ["plans/"]
    }
    action {
      type = "Delete"
    }
  }

  lifecycle_rule {
    condition {
      num_newer_versions = 20
      with_state         = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.this]
}

# --- who checks --------------------------------------------------------------------------------

resource "google_service_account" "check" {
  project      = var.project
  account_id   = "${var.name}-check"
  display_name = "Wardgate: checks and plans"
  depends_on   = [google_project_service.this]
}

resource "google_project_iam_member" "check" {
  for_each = local.check_roles
  project  = var.project
  role     = each.value
  member   = local.check
}

# Firestore's and Cloud Storage's own viewer roles would read documents and objects too.
resource "google_project_iam_custom_role" "plan" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_plan"
  title       = "Wardgate: settings of databases and buckets"
  description = "Read how Firestore databases and buckets are set, and nothing that is in them."
  permissions = [
    "datastore.databases.get",
    "datastore.databases.getMetadata",
    "datastore.databases.list",
    "datastore.indexes.get",
    "datastore.indexes.list",
    "storage.buckets.get",
    "storage.buckets.getIamPolicy",
    "storage.buckets.list",
  ]
}

resource "google_project_iam_member" "check_plan" {
  project = var.project
  role    = google_project_iam_custom_role.plan.name
  member  = local.check
}

# The functions' zips are objects of Terraform's, and are made of this repository.
resource "google_project_iam_member" "check_sources" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = local.check

  condition {
    title       = "sources-only"
    description = "The bucket of the functions' sources."
    expression  = "resource.name.startsWith(\"projects/_/buckets/${var.project}-${var.name}-sources/\")"
  }
}

# It reads the state, writes Terraform's lock of it, plans and bills of materials, and no state.
resource "google_storage_bucket_iam_member" "check_reads" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectViewer"
  member = local.check
}

resource "google_storage_bucket_iam_member" "check_writes" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectUser"
  member = local.check

  condition {
    title       = "plans-and-locks"
    description = "Plans, bills of materials and locks of the state, not the state."
    expression = join(" || ", [
      "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.state.name}/objects/plans/\")",
      "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.state.name}/objects/sbom/\")",
      "resource.name.endsWith(\".tflock\")",
    ])
  }
}

# --- who deploys -------------------------------------------------------------------------------

resource "google_service_account" "deploy" {
  project      = var.project
  account_id   = "${var.name}-deploy"
  display_name = "Wardgate: applies approved plans"
  depends_on   = [google_project_service.this]
}

resource "google_project_iam_member" "deploy" {
  #checkov:skip=CKV_GCP_42:This account makes and deletes what the environment is made of, so it administers those services; it does so only in builds that a person has approved.
  #checkov:skip=CKV_GCP_41:Functions run as accounts that are made by the same apply, so there is nothing narrower to grant before.
  #checkov:skip=CKV_GCP_49:Functions run as accounts that are made by the same apply, so there is nothing narrower to grant before.
  for_each = local.deploy_roles
  project  = var.project
  role     = each.value
  member   = local.deploy
}

# Secrets and who may read them, but never a value: roles/secretmanager.admin would include that.
resource "google_project_iam_custom_role" "secrets" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_secrets"
  title       = "Wardgate: secrets without their values"
  description = "Make, change and delete secrets, and grant access to them; add and read no version."
  permissions = [
    "secretmanager.secrets.create",
    "secretmanager.secrets.delete",
    "secretmanager.secrets.get",
    "secretmanager.secrets.getIamPolicy",
    "secretmanager.secrets.list",
    "secretmanager.secrets.setIamPolicy",
    "secretmanager.secrets.update",
  ]
}

resource "google_project_iam_member" "deploy_secrets" {
  project = var.project
  role    = google_project_iam_custom_role.secrets.name
  member  = local.deploy
}

resource "google_project_iam_member" "deploy_grants" {
  #checkov:skip=CKV_GCP_42:The condition, which checkov does not read, lets it grant the roles of the list alone.
  project = var.project
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = local.deploy

  condition {
    title       = "roles-of-wardgate"
    description = "Grants the roles that the environment needs, and no other."
    expression  = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${join(", ", [for role in local.granted_roles : "'${role}'"])}])"
  }
}

resource "google_storage_bucket_iam_member" "deploy" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectUser"
  member = local.deploy
}

# --- builds ------------------------------------------------------------------------------------

resource "google_cloudbuild_trigger" "check" {
  count           = var.repository.id == "" ? 0 : 1
  project         = var.project
  location        = var.region
  name            = "${var.name}-check"
  description     = "Checks and plans every push."
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.check.id

  repository_event_config {
    repository = var.repository.id

    push {
      branch = "^${var.repository.branch}$"
    }
  }

  substitutions = {
    _BUILDER_IMAGE = var.images.builder
    _PACK_IMAGE    = var.images.pack
    _ROOT          = var.repository.root
    _STATE_BUCKET  = google_storage_bucket.state.name
  }

  lifecycle {
    precondition {
      condition     = alltrue([for image in values(var.images) : image != ""])
      error_message = "With a repository, both images must be given; docs/deploy.md says how to look their digests up."
    }
  }

  depends_on = [google_project_iam_member.check]
}

resource "google_cloudbuild_trigger" "apply" {
  count           = var.repository.id == "" ? 0 : 1
  project         = var.project
  location        = var.region
  name            = "${var.name}-apply"
  description     = "Applies the plan of a push, once somebody has approved that."
  filename        = "cloudbuild.apply.yaml"
  service_account = google_service_account.deploy.id

  repository_event_config {
    repository = var.repository.id

    push {
      branch = "^${var.repository.branch}$"
    }
  }

  approval_config {
    approval_required = true
  }

  substitutions = {
    _ROOT         = var.repository.root
    _STATE_BUCKET = google_storage_bucket.state.name
  }

  depends_on = [google_project_iam_member.deploy]
}

resource "google_project_iam_member" "approvers" {
  for_each = var.approvers
  project  = var.project
  role     = "roles/cloudbuild.builds.approver"
  member   = each.value
}
