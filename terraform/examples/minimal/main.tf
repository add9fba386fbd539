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

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

module "wardgate" {
  source  = "../.."
  project = var.project
  region  = var.region
}

output "url" {
  description = "Where clients call guard."
  value       = module.wardgate.url
}
