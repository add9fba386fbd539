output "address" {
  description = "IPv4 address for the domains' A records; empty where there are no domains."
  value       = join("", module.edge[*].address)
}

output "dead_letters" {
  description = "Subscriptions where dead letters wait: of audit events, alerts and reminders."
  value       = local.dead_letters
}

output "functions" {
  description = "Each function's address and service account."
  value       = { for name, function in module.function : name => { url = function.url, service_account = function.email } }
}

output "model_armor_template" {
  description = "Full name of the Model Armor template, for the policy; empty: there is none."
  value       = join("", module.model_armor[*].template)
}

output "url" {
  description = "Where clients call guard."
  value       = local.guard_url
}

output "wardgate" {
  description = "Where everything is, for `wardgate --config`: the settings by their names, guard's address, the operators' account, the dead letters."
  value = merge(
    { for name in ["admin_audience", "alerts", "documents", "events", "objects", "secrets", "signer", "warehouse"] : name => local.settings[name] },
    local.sealed_content ? { content_key = local.settings.content_key } : {},
    {
      dead_letters     = { for name, subscription in local.dead_letters : name => "projects/${var.project}/subscriptions/${subscription}" }
      guard_url        = local.guard_url
      operator_account = local.operator_email
    },
  )
}
