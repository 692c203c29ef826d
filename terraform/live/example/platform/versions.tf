terraform {
  # 1.11: the state's bucket holds its lock as well.
  required_version = ">= 1.11"

  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.1"
    }
  }

  # Bucket, key and region come from backend.hcl: terraform init -backend-config=backend.hcl
  backend "s3" {}
}

data "terraform_remote_state" "infrastructure" {
  backend = "s3"
  config  = var.state
}

locals {
  # An output that is null is missing from a state.
  infrastructure = merge(
    { karpenter = null, gpu_pool = null, jobs = null, metrics_write_url = null },
    data.terraform_remote_state.infrastructure.outputs,
  )
}

# A token for each call: one in the state would be old by the next.
provider "helm" {
  kubernetes = {
    host                   = local.infrastructure.cluster.endpoint
    cluster_ca_certificate = base64decode(local.infrastructure.cluster.certificate_authority)
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--cluster-name", local.infrastructure.name, "--region", local.infrastructure.region]
    }
  }
}
