output "address" {
  description = "IPv4 address that the domains' A records must hold."
  value       = google_compute_global_address.this.address
}
