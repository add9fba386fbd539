output "email" {
  description = "E-mail address of its service account."
  value       = local.email
}

output "member" {
  description = "Its service account as an IAM member."
  value       = "serviceAccount:${local.email}"
}

output "name" {
  description = "Name of the function and of its Cloud Run service."
  value       = google_cloudfunctions2_function.this.name
}

output "url" {
  description = "Its run.app address, once its invokers may call it."
  value       = local.url
  depends_on  = [google_cloud_run_v2_service_iam_member.invokers]
}
