# Wardgate's own secrets, as shared/rotation/inventory.py has them, and the upstreams' keys that the policy names.

locals {
  held_secrets = merge(
    {
      api-key-pepper      = ["guard"]
      audit-pepper        = ["guard"]
      audit-signing-key   = [] # Cloud KMS signs here; rotate_secrets makes it all the same
      receipt-signing-key = ["guard"]
    },
    local.sealed_content ? { content-key = [] } : {}, # Cloud KMS wraps here; rotate_secrets makes it all the same
  )

  secret_readers = merge({ for name in local.upstream_keys : name => ["model"] }, local.held_secrets)

  secrets = { for name, readers in local.secret_readers : name => {
    readers = readers
    rotated = contains(keys(local.held_secrets), name)
    period_days = coalesce(
      try(local.policy.secrets.per_secret[name].period_days, null), try(local.policy.secrets.period_days, null), 90
    )
  } }
}

module "secrets" {
  source              = "./modules/secrets"
  project             = var.project
  region              = var.region
  name                = var.name
  secrets             = local.secrets
  members             = { for name in ["guard", "model"] : name => module.function[name].member }
  rotator             = module.function["rotate_secrets"].member
  topic               = module.reminders.id
  deletion_protection = var.deletion_protection
  kms_key             = module.keys.data_key
  labels              = local.labels
  depends_on          = [google_project_service.this]
}
