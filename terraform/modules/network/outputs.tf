output "subnetwork" {
  description = "Full name of the subnetwork, once run.app leads to Google's private address."
  value       = "projects/${var.project}/regions/${var.region}/subnetworks/${google_compute_subnetwork.functions.name}"
  depends_on = [
    google_compute_firewall.allow_google,
    google_compute_firewall.deny_rest,
    google_dns_record_set.run,
  ]
}
