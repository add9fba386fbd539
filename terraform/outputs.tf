output "address" {
  description = "IPv4 address for the domains' A records; empty where there are no domains."
  value       = join("", module.edge[*].address)
}

output "dead_letters" {
  description = "Subscriptions where dead letters wait: of audit events, alerts and reminders."
  value = {
    alerts    = module.alerts.dead_letters
    events    = module.events.dead_letters
    reminders = module.reminders.dead_letters
  }
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
  value       = local.edge ? "https://${sort(var.domains)[0]}" : module.function["guard"].url
}

output "wardgate" {
  description = "Where everything is, for `wardgate --config`: the settings by their names, guard's address, the operators' account, the dead letters."
  value = merge(
    { for name in ["alerts", "documents", "events", "objects", "secrets", "signer", "warehouse"] : name => local.settings[name] },
    local.sealed_content ? { content_key = local.settings.content_key } : {},
    {
      dead_letters     = "projects/${var.project}/subscriptions/${module.events.dead_letters}"
      guard_url        = local.edge ? "https://${sort(var.domains)[0]}" : module.function["guard"].url
      operator_account = local.operator_email
    },
  )
}
