output "uri" {
  description = "The database as WARDGATE_DOCUMENTS names it."
  value       = "firestore://${var.project}/${google_firestore_database.this.name}"
}
