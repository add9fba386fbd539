output "sources" {
  description = "Where each function's zip is: bucket and object."
  value = { for name, object in google_storage_bucket_object.bundle : name => {
    bucket = object.bucket
    object = object.name
  } }
}

output "repository" {
  description = "Id of the repository of images."
  value       = "projects/${var.project}/locations/${var.region}/repositories/${google_artifact_registry_repository.images.repository_id}"
}

output "service_account" {
  description = "Full name of the account that builds, once it may."
  value       = "projects/${var.project}/serviceAccounts/${google_service_account.build.account_id}@${var.project}.iam.gserviceaccount.com"
  depends_on = [
    google_artifact_registry_repository_iam_member.build_images,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
  ]
}
