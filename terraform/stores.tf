# Where data lies: documents, evidence, rows, and the keys over them.

module "keys" {
  source     = "./modules/keys"
  project    = var.project
  region     = var.region
  name       = var.name
  encrypt    = var.cmek
  verifiers  = local.operators
  encrypters = local.encrypters
  sealers    = local.sealed_content ? { guard = module.function["guard"].member } : {}
  signers    = { audit_seal = module.function["audit_seal"].member }
  labels     = local.labels
  depends_on = [
    google_project_service.this,
    google_project_service_identity.this,
    data.google_logging_project_cmek_settings.this,
    data.google_bigquery_default_service_account.this,
    data.google_storage_project_service_account.this,
  ]
}

module "documents" {
  source              = "./modules/documents"
  project             = var.project
  location            = var.locations.firestore == "" ? var.region : var.locations.firestore
  name                = var.name
  deletion_protection = var.deletion_protection
  kms_key             = module.keys.data_key
  expiring            = ["admission", "alert_counters", "alert_seen", "alerts", "idempotency", "rotation_alerts"]
  unindexed = [
    "admission", "alert_counters", "alert_seen", "alerts", "audit_heads", "audit_subjects", "idempotency", "keys", "rotation",
    "rotation_alerts",
  ]
  users = merge(local.operators, {
    for name in ["guard", "audit_alerts", "audit_seal", "rotate_secrets"] : name => module.function[name].member
  })
  viewers    = { model = module.function["model"].member }
  depends_on = [google_project_service.this]
}

module "archive" {
  source         = "./modules/archive"
  project        = var.project
  region         = var.region
  name           = var.name
  retention_days = var.archive.retention_days
  lock           = var.archive.lock
  kms_key        = module.keys.data_key
  writers        = { for name in ["audit_archive", "audit_seal"] : name => module.function[name].member }
  labels         = local.labels
  depends_on     = [google_project_service.this]
}

module "warehouse" {
  source              = "./modules/warehouse"
  project             = var.project
  location            = var.locations.bigquery == "" ? var.region : var.locations.bigquery
  name                = var.name
  retention_days      = var.warehouse_retention_days
  deletion_protection = var.deletion_protection
  kms_key             = module.keys.data_key
  writers             = { audit_warehouse = module.function["audit_warehouse"].member }
  labels              = local.labels
  depends_on          = [google_project_service.this]
}
