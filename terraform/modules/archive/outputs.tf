output "bucket" {
  description = "Name of the bucket of evidence."
  value       = google_storage_bucket.evidence.name
}

output "uri" {
  description = "The bucket as WARDGATE_OBJECTS names it."
  value       = "gs://${google_storage_bucket.evidence.name}"
}
