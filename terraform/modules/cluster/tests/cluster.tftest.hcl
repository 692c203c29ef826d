mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_default_tags" {
    defaults = { tags = { project = "speech" } }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/secrets" }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      identity              = [{ oidc = [{ issuer = "https://oidc.example.com/id/ABC" }] }]
      certificate_authority = [{ data = "UEVN" }]
    }
  }
}

variables {
  name           = "speech"
  subnet_ids     = ["subnet-a", "subnet-b"]
  administrators = ["arn:aws:iam::111122223333:role/operators"]
}

run "the_api_server_is_private_by_default" {
  assert {
    condition = (
      aws_eks_cluster.this.vpc_config[0].endpoint_private_access &&
      !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    )
    error_message = "nobody asked for a public endpoint"
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == "arn:aws:kms:eu-central-1:111122223333:key/secrets"
    error_message = "secrets are encrypted with the cluster's own key"
  }

  assert {
    condition     = aws_kms_key.secrets.enable_key_rotation && aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "the key rotates, and extended support is not paid for"
  }

  assert {
    condition     = output.oidc_issuer == "oidc.example.com/id/ABC"
    error_message = "conditions of IAM name the issuer without its scheme"
  }
}

run "named_networks_may_reach_the_api_server" {
  variables {
    public_access_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition = (
      aws_eks_cluster.this.vpc_config[0].endpoint_public_access &&
      aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    )
    error_message = "only the networks that were named"
  }
}

run "rights_come_from_access_entries_alone" {
  variables {
    viewers = ["arn:aws:iam::111122223333:role/readers", "arn:aws:iam::111122223333:role/operators"]
  }

  assert {
    condition = (
      aws_eks_cluster.this.access_config[0].authentication_mode == "API" &&
      !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    )
    error_message = "who creates the cluster is no hidden administrator"
  }

  assert {
    condition = { for arn, each in aws_eks_access_policy_association.this : arn => each.policy_arn } == {
      "arn:aws:iam::111122223333:role/operators" = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
      "arn:aws:iam::111122223333:role/readers"   = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    }
    error_message = "who administers and reads has one entry, the stronger"
  }
}

run "the_network_has_a_role_of_its_own" {
  assert {
    condition     = toset(keys(aws_eks_addon.before_nodes)) == toset(["eks-pod-identity-agent", "kube-proxy", "vpc-cni"])
    error_message = "a node without network never becomes ready, so these come first"
  }

  assert {
    condition = (
      one(aws_eks_addon.before_nodes["vpc-cni"].pod_identity_association).service_account == "aws-node" &&
      jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    )
    error_message = "the network add-on enforces policies and has its own rights"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.nodes)) == toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])
    error_message = "nodes may join and pull, no more"
  }
}

run "system_nodes_are_tagged_encrypted_and_deaf_to_pods" {
  assert {
    condition = (
      aws_launch_template.system.metadata_options[0].http_tokens == "required" &&
      aws_launch_template.system.metadata_options[0].http_put_response_hop_limit == 1
    )
    error_message = "pods could take the node's role"
  }

  assert {
    condition = alltrue([
      for each in aws_launch_template.system.tag_specifications :
      each.tags == tomap({ project = "speech", Name = "speech-system" })
    ]) && length(aws_launch_template.system.tag_specifications) == 3
    error_message = "default tags do not reach instances by themselves"
  }

  assert {
    condition     = length(aws_eks_node_group.system.taint) == 0
    error_message = "controllers tolerate nothing"
  }
}

run "the_whole_internet_is_refused" {
  command = plan
  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.public_access_cidrs]
}

run "a_cluster_without_administrators_is_refused" {
  command = plan
  variables {
    administrators = []
  }
  expect_failures = [var.administrators]
}

run "an_administrator_who_is_no_arn_is_refused" {
  command = plan
  variables {
    administrators = ["operators"]
  }
  expect_failures = [var.administrators]
}

run "a_single_system_node_is_refused" {
  command = plan
  variables {
    system_nodes = { count = 1 }
  }
  expect_failures = [var.system_nodes]
}

run "an_unknown_log_is_refused" {
  command = plan
  variables {
    log_types = ["everything"]
  }
  expect_failures = [var.log_types]
}

run "a_patch_version_is_refused" {
  command = plan
  variables {
    kubernetes_version = "1.35.1"
  }
  expect_failures = [var.kubernetes_version]
}

run "one_subnet_is_refused" {
  command = plan
  variables {
    subnet_ids = ["subnet-a"]
  }
  expect_failures = [var.subnet_ids]
}
