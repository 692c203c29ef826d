mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_route53_zone" {
    defaults = { zone_id = "Z1", arn = "arn:aws:route53:::hostedzone/Z1" }
  }
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      domain_validation_options = [{
        domain_name           = "speech.example.com"
        resource_record_name  = "_proof.speech.example.com."
        resource_record_type  = "CNAME"
        resource_record_value = "_answer.acm.example."
      }]
    }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      identity              = [{ oidc = [{ issuer = "https://oidc.example.com/id/ABC" }] }]
      certificate_authority = [{ data = "UEVN" }]
    }
  }
}

variables {
  account_id         = "111122223333"
  region             = "eu-central-1"
  availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  name               = "speech"
  host               = "speech.example.com"
  hosted_zone        = "example.com"
  administrators     = ["arn:aws:iam::111122223333:role/operators"]
  alert_emails       = ["oncall@example.com"]
  monthly_budget_usd = 2000
}

run "roles_records_and_names_fit_together" {
  assert {
    condition = (
      output.karpenter.queue == "speech-interruptions" &&
      output.karpenter.instance_profile == "speech-karpenter-nodes" &&
      length(module.gpu_nodes) == 0
    )
    error_message = "one of the two has the GPUs"
  }

  assert {
    condition = (
      aws_route53_record.validation.name == "_proof.speech.example.com." &&
      aws_route53_record.validation.records == toset(["_answer.acm.example."]) &&
      output.certificate_arn == "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    )
    error_message = "the record that ACM asks for, in the zone"
  }

  assert {
    condition = { for name, identity in output.identities : name => "${identity.namespace}/${identity.account}" } == {
      alertmanager             = "monitoring/alertmanager"
      external-dns             = "kube-system/external-dns"
      external-secrets         = "external-secrets/external-secrets"
      fluent-bit               = "monitoring/fluent-bit"
      load-balancer-controller = "kube-system/aws-load-balancer-controller"
      model-pull               = "verbatim/model-pull"
      verbatim                 = "verbatim/verbatim"
    }
    error_message = "a role for a service account that no pod uses is never taken"
  }

  assert {
    condition = jsondecode(local.dns_policy).Statement[1].Condition == {
      "ForAllValues:StringLike" = {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames" = ["speech.example.com", "*-speech.example.com"]
      }
    }
    error_message = "other hosts of the zone must be out of reach"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(local.load_balancer_policy).Statement :
      statement.Condition.StringEquals["aws:ResourceTag/elbv2.k8s.aws/cluster"] == "speech"
      if contains(["ChangeOwn", "ChangeOwnGroups"], statement.Sid)
    ])
    error_message = "another cluster's load balancers could be deleted"
  }
}

run "a_fixed_group_of_bottlerocket_and_metrics_for_long" {
  variables {
    gpu_nodes         = { by = "managed", nodes = 2, ami_type = "BOTTLEROCKET_x86_64_NVIDIA" }
    long_term_metrics = true
  }

  assert {
    condition     = output.karpenter == null && output.gpu_pool.has_device_plugin && output.gpu_pool.nodes == 2
    error_message = "the platform must know that no second device plugin is wanted"
  }

  assert {
    condition     = output.identities["prometheus"].account == "prometheus" && endswith(output.metrics_write_url, "api/v1/remote_write")
    error_message = "Prometheus needs an address and the right to write"
  }
}

run "a_host_of_another_zone_is_refused" {
  command = plan
  variables {
    host = "speech.example.org"
  }
  expect_failures = [var.host]
}

run "an_address_instead_of_a_host_is_refused" {
  command = plan
  variables {
    host = "https://speech.example.com"
  }
  expect_failures = [var.host]
}

run "a_zone_of_another_region_is_refused" {
  command = plan
  variables {
    availability_zones = ["eu-central-1a", "eu-west-1a"]
  }
  expect_failures = [var.availability_zones]
}

run "an_account_that_is_none_is_refused" {
  command = plan
  variables {
    account_id = "example"
  }
  expect_failures = [var.account_id]
}

run "an_unknown_starter_of_nodes_is_refused" {
  command = plan
  variables {
    gpu_nodes = { by = "autoscaler" }
  }
  expect_failures = [var.gpu_nodes]
}

run "a_name_too_long_for_roles_is_refused" {
  command = plan
  variables {
    name = "speech-recognition-production"
  }
  expect_failures = [var.name]
}
