terraform {
  # 1.11: the state's bucket holds its lock as well.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }

  # Bucket, key and region come from backend.hcl: terraform init -backend-config=backend.hcl
  backend "s3" {}
}

provider "aws" {
  region = var.region
  # A plan that is run with the wrong credentials ends here.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.tags
  }
}
