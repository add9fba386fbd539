# What is counted, when people are told, and whom it tells.

locals {
  guard_url = local.edge ? "https://${sort(var.domains)[0]}" : module.function["guard"].url
}

module "monitoring" {
  source                    = "./modules/monitoring"
  project                   = var.project
  name                      = var.name
  services                  = { for name, function in module.function : name => function.name }
  host                      = var.public ? trimprefix(local.guard_url, "https://") : ""
  dead_letter_subscriptions = values(local.dead_letters)
  notify                    = var.notify
  thresholds                = var.thresholds
  budget                    = var.budget
  runbooks                  = var.runbooks
  depends_on                = [google_project_service.this]
}
