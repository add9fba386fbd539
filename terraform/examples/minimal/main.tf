# The least that Wardgate needs: guard at its run.app address, no load balancer, no network, the policy that ships with it.

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
  source              = "../.."
  project             = var.project
  region              = var.region
  deletion_protection = var.deletion_protection
}

output "url" {
  description = "Where clients call guard."
  value       = module.wardgate.url
}

output "wardgate" {
  description = "Where everything is: `terraform output -json > outputs.json`, then `wardgate --config outputs.json`."
  value       = module.wardgate.wardgate
}
