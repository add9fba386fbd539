output "ids" {
  description = "Names of the secrets, by their names: known once they are there."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.secret_id }
}
