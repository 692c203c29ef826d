mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/speech-verbatim" }
  }
}

variables {
  name            = "verbatim"
  cluster_name    = "speech"
  namespace       = "verbatim"
  service_account = "verbatim"
  policies        = { models = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
}

run "pod_identity_needs_no_annotation" {
  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }]
    error_message = "only EKS's agent hands the role out"
  }

  assert {
    condition = (
      aws_eks_pod_identity_association.this[0].service_account == "verbatim" &&
      aws_eks_pod_identity_association.this[0].role_arn == "arn:aws:iam::111122223333:role/speech-verbatim" &&
      length(output.service_account_annotations) == 0
    )
    error_message = "the association says who gets the role"
  }

  assert {
    condition     = keys(aws_iam_role_policy.this) == ["models"] && aws_iam_role.this.name == "speech-verbatim"
    error_message = "the role has the policies it was given and no others"
  }
}

run "irsa_trusts_one_service_account" {
  variables {
    identity          = "irsa"
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/ABC"
    oidc_issuer       = "oidc.example.com/id/ABC"
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == {
      StringEquals = {
        "oidc.example.com/id/ABC:sub" = "system:serviceaccount:verbatim:verbatim"
        "oidc.example.com/id/ABC:aud" = "sts.amazonaws.com"
      }
    }
    error_message = "any service account could take the role"
  }

  assert {
    condition = (
      length(aws_eks_pod_identity_association.this) == 0 &&
      output.service_account_annotations["eks.amazonaws.com/role-arn"] == "arn:aws:iam::111122223333:role/speech-verbatim"
    )
    error_message = "with IRSA the service account names the role"
  }
}

run "irsa_without_its_provider_is_refused" {
  command = plan
  variables {
    identity = "irsa"
  }
  expect_failures = [var.oidc_provider_arn, var.oidc_issuer]
}

run "another_way_is_refused" {
  command = plan
  variables {
    identity = "kiam"
  }
  expect_failures = [var.identity]
}

run "a_role_that_may_do_nothing_is_refused" {
  command = plan
  variables {
    policies = {}
  }
  expect_failures = [var.policies]
}

run "a_document_that_is_no_policy_is_refused" {
  command = plan
  variables {
    policies = { models = "{}" }
  }
  expect_failures = [var.policies]
}
