output "check_account" {
  description = "E-mail of the account that checks and plans, and may change nothing."
  value       = local.check_email
}

output "deploy_account" {
  description = "E-mail of the account that applies."
  value       = local.deploy_email
}

output "state_bucket" {
  description = "Bucket for Terraform's state."
  value       = google_storage_bucket.state.name
}
