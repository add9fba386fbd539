# Production: behind a load balancer with Cloud Armor, inner functions private, all data under a key of yours.

variable "project" {
  description = "Id of an empty project."
  type        = string
  default     = "my-project"
}

variable "region" {
  description = "Region that the functions run in."
  type        = string
  default     = "europe-west4"
}

variable "lock" {
  description = "Whether the evidence's retention is locked, which can never be undone."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether data refuses to be deleted; off before `terraform destroy`."
  type        = bool
  default     = true
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

module "wardgate" {
  source          = "../.."
  project         = var.project
  region          = var.region
  policy_file     = "${path.module}/policy.yaml"
  domains         = ["llm.example.com"]
  private_ingress = true
  cmek            = true
  model_armor     = true
  notify          = { emails = ["oncall@example.com"] }
  budget          = { billing_account = "012345-6789AB-CDEF01", amount = 500 }
  operators       = ["group:sre@example.com"]
  labels          = { environment = "production" }

  deletion_protection = var.deletion_protection

  archive = {
    lock           = var.lock
    retention_days = 730
  }

  # The organisation's access policy; its perimeter only logs until enforce is set.
  perimeter = { access_policy = "123456789" }

  # No caller waits for a cold start.
  scale = {
    guard = { min_instances = 1, max_instances = 50, memory = "1Gi" }
    model = { min_instances = 1, max_instances = 50 }
  }
}

output "address" {
  description = "IPv4 address for the domains' A records."
  value       = module.wardgate.address
}

output "url" {
  description = "Where clients call guard."
  value       = module.wardgate.url
}

output "wardgate" {
  description = "Where everything is: `terraform output -json > outputs.json`, then `wardgate --config outputs.json`."
  value       = module.wardgate.wardgate
}
