# Counts of limits and nothing else: they live for minutes, so nothing is backed up. No password, which
# would be in Terraform's state: who is in the nodes' security group may connect, by TLS.
resource "aws_security_group" "this" {
  name        = "${var.name}-limit-store"
  description = "Valkey of ${var.name}: from nodes alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "Valkey, from nodes and their pods"
  referenced_security_group_id = var.node_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_elasticache_subnet_group" "this" {
  name       = "${var.name}-limit-store"
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = "${var.name}-limits"
  description          = "Counts of Verbatim's limits"
  engine               = "valkey"
  engine_version       = "8.0"
  parameter_group_name = "default.valkey8"
  node_type            = var.node_type
  port                 = local.port

  # One that takes over: without any, limits count in each pod for itself until it is back.
  num_cache_clusters         = var.replicas + 1
  automatic_failover_enabled = var.replicas > 0
  multi_az_enabled           = var.replicas > 0

  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this.id]
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true

  auto_minor_version_upgrade = true
  maintenance_window         = "sun:02:00-sun:03:00"
  snapshot_retention_limit   = 0
}

locals {
  port = 6379
}
