# Wardgate's own secrets, as shared/rotation/inventory.py has them, and those that the policy names: upstreams' keys,
# keys with a driver, and what drivers need for themselves.

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

  secret_rules = try(local.policy.secrets.per_secret, {})
  driver_kinds = { for name, rule in local.secret_rules : name => try(rule.driver.kind, "") }
  driven       = toset([for name, kind in local.driver_kinds : name if !contains(["", "remind"], kind)])
  reminded     = toset([for name, kind in local.driver_kinds : name if kind == "remind"])
  signing      = toset(compact([for name, rule in local.secret_rules : try(rule.driver.signing_secret, "")]))
  admin_keys   = toset(compact([for name, rule in local.secret_rules : try(rule.driver.admin_secret, "")]))
  made         = setunion(keys(local.held_secrets), local.driven, setsubtract(local.signing, local.reminded))

  secret_readers = merge(
    { for name in setunion(local.driven, local.reminded, local.signing) : name => [] },
    # What rotate_secrets needs to make other keys, and does not make itself.
    { for name in setunion(local.admin_keys, setintersection(local.signing, local.reminded)) : name => ["rotate_secrets"] },
    { for name in local.upstream_keys : name => ["model"] },
    local.held_secrets,
  )

  secrets = { for name, readers in local.secret_readers : name => {
    readers = readers
    rotated = contains(local.made, name)
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
  members             = { for name in ["guard", "model", "rotate_secrets"] : name => module.function[name].member }
  rotator             = module.function["rotate_secrets"].member
  topic               = module.reminders.id
  deletion_protection = var.deletion_protection
  kms_key             = module.keys.data_key
  labels              = local.labels
  depends_on          = [google_project_service.this]
}
