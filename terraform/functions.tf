# The seven functions: what each is for, what it reads from its environment, and how large it may grow.

locals {
  # `settings` are the fields of shared/settings.py that the function's main.py starts with.
  functions = {
    guard = {
      description = "Authenticates, limits and inspects every call, and asks model."
      settings = concat(
        ["documents", "events", "secrets", "model_url", "identity", "admin_audience", "admin_accounts"],
        local.sealed_content ? ["content_key"] : [],
      )
      timeout_seconds = min(3600, local.call_seconds + 60)
      scale           = { concurrency = 40, cpu = "1", memory = local.second_stage ? "1Gi" : "512Mi", min_instances = 0, max_instances = 20 }
    }
    model = {
      description     = "Calls the models; the only one that holds providers' keys."
      settings        = ["documents", "secrets", "model_url", "identity", "guard_service_account"]
      timeout_seconds = min(3600, local.call_seconds + 60)
      scale           = { concurrency = 40, cpu = "1", memory = "512Mi", min_instances = 0, max_instances = 20 }
    }
    audit_archive = {
      description     = "Stores each audit event once."
      settings        = ["objects"]
      timeout_seconds = 60
      scale           = { concurrency = 20, cpu = "1", memory = "256Mi", min_instances = 0, max_instances = 10 }
    }
    audit_warehouse = {
      description     = "Makes rows of audit events."
      settings        = ["warehouse"]
      timeout_seconds = 60
      scale           = { concurrency = 20, cpu = "1", memory = "256Mi", min_instances = 0, max_instances = 10 }
    }
    audit_alerts = {
      description     = "Counts what subjects do and raises alerts."
      settings        = ["documents", "events", "alerts"]
      timeout_seconds = 60
      scale           = { concurrency = 20, cpu = "1", memory = "256Mi", min_instances = 0, max_instances = 10 }
    }
    audit_seal = {
      description     = "Signs checkpoints of what is new in the archive."
      settings        = ["objects", "documents", "secrets", "signer"]
      timeout_seconds = 300
      scale           = { concurrency = 1, cpu = "1", memory = "1Gi", min_instances = 0, max_instances = 2 }
    }
    rotate_secrets = {
      description     = "Renews Wardgate's secrets."
      settings        = ["documents", "events", "secrets", "alerts"]
      timeout_seconds = 300
      scale           = { concurrency = 4, cpu = "1", memory = "256Mi", min_instances = 0, max_instances = 2 }
    }
  }

  names  = { for name in keys(local.functions) : name => "${var.name}-${replace(name, "_", "-")}" }
  scales = { for name, function in local.functions : name => merge(function.scale, { for key, value in try(var.scale[name], {}) : key => value if value != null }) }

  # Known before the function is there, since guard and model both need model's.
  model_url = "https://${local.names.model}-${local.number}.${var.region}.run.app"

  settings = {
    admin_accounts        = local.operator_email
    admin_audience        = "wardgate-admin://${var.project}/${var.name}"
    alerts                = "pubsub://${var.project}/${module.alerts.name}"
    content_key           = module.keys.content_key
    documents             = module.documents.uri
    events                = "pubsub://${var.project}/${module.events.name}"
    guard_service_account = "${local.names.guard}@${var.project}.iam.gserviceaccount.com"
    identity              = "google://"
    model_url             = local.model_url
    objects               = module.archive.uri
    secrets               = "secretmanager://${var.project}"
    signer                = module.keys.signer
    warehouse             = module.warehouse.uri
  }
  policy_setting = var.policy_file == "" ? {} : { WARDGATE_POLICY = "policy.yaml" } # beside main.py, where functions start

  # Guard may be called by anybody, where it checks itself; the others by one account of ours each.
  invokers = {
    guard           = var.public ? { everybody = "allUsers" } : {}
    model           = { guard = "serviceAccount:${local.settings.guard_service_account}" }
    audit_archive   = { push = local.push_member }
    audit_warehouse = { push = local.push_member }
    audit_alerts    = { push = local.push_member }
    audit_seal      = { scheduler = local.scheduler_member }
    rotate_secrets  = { push = local.push_member, scheduler = local.scheduler_member }
  }

  public_ingress = local.edge ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
  inner_ingress  = var.private_ingress ? "ALLOW_INTERNAL_ONLY" : "ALLOW_ALL"
}

module "build" {
  source         = "./modules/build"
  project        = var.project
  project_number = local.number
  region         = var.region
  name           = var.name
  functions      = toset(keys(local.functions))
  policy_file    = var.policy_file
  second_stage   = local.second_stage
  kms_key        = module.keys.data_key
  labels         = local.labels
  depends_on     = [google_project_service.this]
}

module "function" {
  source          = "./modules/function"
  for_each        = local.functions
  project         = var.project
  project_number  = local.number
  region          = var.region
  name            = local.names[each.key]
  entry_point     = each.key
  description     = each.value.description
  timeout_seconds = each.value.timeout_seconds
  scale           = local.scales[each.key]
  ingress         = each.key == "guard" ? local.public_ingress : local.inner_ingress
  subnetwork      = each.key == "guard" ? join("", module.network[*].subnetwork) : ""
  invokers        = local.invokers[each.key]
  kms_key         = module.keys.data_key
  labels          = local.labels
  environment     = merge(local.policy_setting, { for setting in each.value.settings : "WARDGATE_${upper(setting)}" => local.settings[setting] })

  build = {
    repository      = module.build.repository
    service_account = module.build.service_account
    source          = module.build.sources[each.key]
  }

  depends_on = [google_project_service.this]
}

# Models on Vertex AI are called with model's own identity.
resource "google_project_iam_member" "vertex" {
  for_each = local.vertex_projects
  project  = each.value
  role     = "roles/aiplatform.user"
  member   = module.function["model"].member
}
