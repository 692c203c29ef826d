locals {
  tags = merge(var.tags, { project = var.name, managed-by = "terraform" })
}

module "network" {
  source = "../../../modules/network"

  name               = var.name
  cidr               = var.cidr
  availability_zones = var.availability_zones
  nat                = var.nat
}

module "cluster" {
  source = "../../../modules/cluster"

  name                = var.name
  kubernetes_version  = var.kubernetes_version
  subnet_ids          = module.network.private_subnet_ids
  public_access_cidrs = var.public_access_cidrs
  administrators      = var.administrators
  viewers             = var.viewers
  deletion_protection = var.deletion_protection
}

module "karpenter" {
  source = "../../../modules/karpenter"
  count  = var.gpu_nodes.by == "karpenter" ? 1 : 0

  cluster_name = module.cluster.name
}

module "gpu_nodes" {
  source = "../../../modules/gpu-nodes"
  count  = var.gpu_nodes.by == "managed" ? 1 : 0

  cluster_name   = module.cluster.name
  node_role_arn  = module.cluster.node_role_arn
  subnet_ids     = module.network.private_subnet_ids
  nodes          = var.gpu_nodes.nodes
  instance_types = var.gpu_nodes.instance_types
  ami_type       = var.gpu_nodes.ami_type
  spot           = var.gpu_nodes.spot
}

module "limit_store" {
  source = "../../../modules/limit-store"

  name                   = var.name
  vpc_id                 = module.network.vpc_id
  subnet_ids             = module.network.private_subnet_ids
  node_security_group_id = module.cluster.security_group_id
}

module "registry" {
  source = "../../../modules/registry"

  repositories = ["${var.name}/verbatim"]
}

module "models" {
  source = "../../../modules/model-storage"

  bucket_name = "${var.name}-models-${var.account_id}"
}

module "observability" {
  source = "../../../modules/observability"

  name               = var.name
  alert_emails       = var.alert_emails
  monthly_budget_usd = var.monthly_budget_usd
  activate_cost_tag  = var.activate_cost_tag
  long_term_metrics  = var.long_term_metrics
  nat_gateway_ids    = module.network.nat_gateway_ids
  interruption_queue = one(module.karpenter[*].interruption_queue)
  access_logs_bucket = "${var.name}-access-logs-${var.account_id}"
}

module "jobs" {
  source = "../../../modules/jobs"
  count  = var.jobs == null ? 0 : 1

  name                   = var.name
  bucket_name            = "${var.name}-jobs-${var.account_id}"
  vpc_id                 = module.network.vpc_id
  subnet_ids             = module.network.private_subnet_ids
  node_security_group_id = module.cluster.security_group_id
  alerts_topic_arn       = module.observability.topic_arn
  instance_class         = var.jobs.instance_class
  storage_gib            = var.jobs.storage_gib
  copy_vault_arn         = var.jobs.copy_vault_arn
  deletion_protection    = var.deletion_protection
}

# vCPUs of G and VT instances that may run at once. At the quota pods stay Pending without an error.
data "aws_servicequotas_service_quota" "gpu" {
  for_each = { on_demand = "L-DB2E81BA", spot = "L-3819A6DF" }

  service_code = "ec2"
  quota_code   = each.value
}

# Filled by hand, with `aws secretsmanager put-secret-value`: what Terraform knows is in its state.
resource "aws_secretsmanager_secret" "verbatim" {
  name        = "${var.name}/verbatim"
  description = "JSON: keys (YAML of hashed API keys), signing_key, grafana_password; with jobs, jobs_database (a postgresql:// URL)"
}
