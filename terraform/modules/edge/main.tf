# The public edge before guard: an HTTPS load balancer with a managed certificate, a redirect from HTTP, and Cloud Armor.

resource "google_compute_global_address" "this" {
  project      = var.project
  name         = var.name
  address_type = "EXTERNAL"
  ip_version   = "IPV4"
  labels       = var.labels
}

resource "google_compute_region_network_endpoint_group" "guard" {
  project               = var.project
  region                = var.region
  name                  = "${var.name}-guard"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.service
  }
}

resource "google_compute_backend_service" "guard" {
  project                 = var.project
  name                    = "${var.name}-guard"
  load_balancing_scheme   = "EXTERNAL_MANAGED"
  protocol                = "HTTPS"
  security_policy         = google_compute_security_policy.this.id
  custom_response_headers = ["Strict-Transport-Security: max-age=31536000; includeSubDomains"]

  backend {
    group = google_compute_region_network_endpoint_group.guard.id
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

# --- HTTPS --------------------------------------------------------------------------------------

resource "google_compute_managed_ssl_certificate" "this" {
  project = var.project
  name    = "${var.name}-${substr(sha256(join(" ", sort(var.domains))), 0, 8)}"

  managed {
    domains = sort(var.domains)
  }

  lifecycle {
    create_before_destroy = true # the proxy needs one at all times
  }
}

resource "google_compute_ssl_policy" "this" {
  project         = var.project
  name            = var.name
  profile         = "RESTRICTED"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_url_map" "https" {
  project         = var.project
  name            = "${var.name}-https"
  default_service = google_compute_backend_service.guard.id
}

resource "google_compute_target_https_proxy" "this" {
  project          = var.project
  name             = "${var.name}-https"
  url_map          = google_compute_url_map.https.id
  ssl_certificates = [google_compute_managed_ssl_certificate.this.id]
  ssl_policy       = google_compute_ssl_policy.this.id
}

resource "google_compute_global_forwarding_rule" "https" {
  project               = var.project
  name                  = "${var.name}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this.id
  labels                = var.labels
}

# --- HTTP: nothing but a redirect -----------------------------------------------------------------

resource "google_compute_url_map" "redirect" {
  project = var.project
  name    = "${var.name}-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "redirect" {
  project = var.project
  name    = "${var.name}-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "redirect" {
  project               = var.project
  name                  = "${var.name}-redirect"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
  labels                = var.labels
}
