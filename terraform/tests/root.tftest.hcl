# The root module: what its variables change, and what it refuses.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
}

mock_provider "google-beta" {}

variables {
  project = "my-project"
  region  = "europe-west4"
}

run "closed" {
  command = plan

  variables {
    public = false
  }

  assert {
    condition     = length(local.invokers.guard) == 0
    error_message = "Nobody may reach guard unless IAM lets him."
  }
}

run "private_without_domains" {
  command = plan

  variables {
    private_ingress = true
  }

  assert {
    condition     = output.address == ""
    error_message = "There is no load balancer without domains."
  }
}

run "sealed" {
  command = plan

  variables {
    policy_file = "./tests/policies/sealed.yaml"
  }

  assert {
    condition     = output.wardgate.content_key == "kms://projects/my-project/locations/europe-west4/keyRings/wardgate/cryptoKeys/content"
    error_message = "Sealed prompts need a key in Cloud KMS."
  }
  assert {
    condition     = local.functions.guard.timeout_seconds == 660
    error_message = "Guard's timeout is the policy's deadline and a minute."
  }
  assert {
    condition     = local.secrets["audit-pepper"].period_days == 7
    error_message = "A secret's own period counts."
  }
  assert {
    condition     = local.secrets["api-key-pepper"].period_days == 90
    error_message = "Without a period in the policy, 90 days count."
  }
  assert {
    condition     = contains(keys(local.secrets), "content-key")
    error_message = "Rotation makes content-key where content is sealed, so the secret must be there."
  }
}

run "drivers" {
  command = plan

  variables {
    policy_file = "./tests/policies/drivers.yaml"
  }

  assert {
    condition = join(" ", [for name, secret in local.secrets : name if secret.rotated]) == join(" ", [
      "api-key-pepper", "audit-pepper", "audit-signing-key", "gemini-key", "openai-key", "other-key",
      "receipt-signing-key", "webhook-key", "webhook-signing",
    ])
    error_message = "What has a driver, and what its requests are signed with, rotates."
  }
  assert {
    condition     = join(" ", [for name, secret in local.secrets : name if contains(secret.readers, "rotate_secrets")]) == "openai-admin other-signing"
    error_message = "The rotator reads what it needs to make other keys."
  }
  assert {
    condition     = join(" ", [for name, secret in local.secrets : name if contains(secret.readers, "model")]) == "gemini-key openai-key their-key"
    error_message = "Only upstreams' keys are read by model."
  }
}

run "second_stage" {
  command = plan

  variables {
    policy_file = "./tests/policies/second_stage.yaml"
  }

  assert {
    condition     = local.scales.guard.memory == "1Gi"
    error_message = "Guard needs more memory where the policy switches the second stage on for anybody."
  }
}

run "refuses_a_function_that_there_is_not" {
  command = plan

  variables {
    scale = { gaurd = {} }
  }

  expect_failures = [var.scale]
}

run "refuses_little_memory_for_the_second_stage" {
  command = plan

  variables {
    policy_file = "./tests/policies/second_stage.yaml"
    scale       = { guard = { memory = "512Mi" } }
  }

  expect_failures = [var.scale]
}

run "scaled" {
  command = plan

  variables {
    scale = { guard = { max_instances = 3, concurrency = 8 }, audit_seal = { memory = "2Gi" } }
  }

  assert {
    condition     = local.scales.guard == { concurrency = 8, cpu = "1", max_instances = 3, memory = "512Mi", min_instances = 0 }
    error_message = "What is given replaces the usual, and nothing else."
  }
}

run "locked" {
  command = plan

  variables {
    archive = { lock = true, retention_days = 730 }
  }
}

run "multi_regions" {
  command = plan

  variables {
    locations           = { bigquery = "EU", firestore = "eur3" }
    labels              = { environment = "test" }
    operators           = ["user:ann@example.com"]
    requests_per_minute = 100
  }

  assert {
    condition     = output.wardgate.operator_account == "wardgate-operator@my-project.iam.gserviceaccount.com"
    error_message = "Operators act as their account."
  }
}

run "refuses_wrong_values" {
  command = plan

  variables {
    archive                  = { retention_days = 0 }
    domains                  = ["LLM.example.com/"]
    name                     = "Wardgate"
    operators                = ["ann@example.com"]
    perimeter                = { access_policy = "accessPolicies/1" }
    policy_file              = "missing.yaml"
    project                  = "My Project"
    region                   = "Europe"
    requests_per_minute      = 0
    warehouse_retention_days = 0
  }

  expect_failures = [
    var.archive, var.domains, var.name, var.operators, var.perimeter, var.policy_file, var.project, var.region,
    var.requests_per_minute, var.warehouse_retention_days,
  ]
}

run "refuses_a_key_for_other_locations" {
  command = plan

  variables {
    cmek      = true
    locations = { firestore = "nam5" }
  }

  expect_failures = [var.locations]
}
