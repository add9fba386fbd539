# What stands before and around the functions: load balancer, network, Model Armor, perimeter. All of it optional.

module "edge" {
  source              = "./modules/edge"
  count               = local.edge ? 1 : 0
  project             = var.project
  region              = var.region
  name                = var.name
  domains             = var.domains
  requests_per_minute = var.requests_per_minute
  service             = module.function["guard"].name
  labels              = local.labels
  depends_on          = [google_project_service.this]
}

# Functions that take calls from inside only, and the network that guard calls them through: both or neither.
module "network" {
  source     = "./modules/network"
  count      = var.private_ingress ? 1 : 0
  project    = var.project
  region     = var.region
  name       = var.name
  labels     = local.labels
  depends_on = [google_project_service.this]
}

module "model_armor" {
  source     = "./modules/model_armor"
  count      = var.model_armor ? 1 : 0
  project    = var.project
  region     = var.region
  name       = var.name
  users      = { guard = module.function["guard"].member }
  labels     = local.labels
  depends_on = [google_project_service.this]
}

module "perimeter" {
  source         = "./modules/perimeter"
  count          = var.perimeter.access_policy == "" ? 0 : 1
  project_number = local.number
  name           = var.name
  access_policy  = var.perimeter.access_policy
  access_levels  = var.perimeter.access_levels
  enforce        = var.perimeter.enforce
  depends_on     = [google_project_service.this]
}
