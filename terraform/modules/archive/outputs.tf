output "bucket" {
  description = "Name of the bucket of evidence."
  value       = google_storage_bucket.evidence.name
}

output "log_bucket" {
  description = "Id of the log bucket of Google's audit logs."
  value       = google_logging_project_bucket_config.audit.bucket_id
}

output "uri" {
  description = "The bucket as WARDGATE_OBJECTS names it."
  value       = "gs://${google_storage_bucket.evidence.name}"
}
