# The queue and the truth about jobs. Two zones: a failover takes a minute or two, in which callers get a
# 503 and jobs that run go on.
resource "aws_security_group" "database" {
  name        = "${var.name}-jobs"
  description = "PostgreSQL of ${var.name}: from nodes alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.database.id
  description                  = "PostgreSQL, from nodes and their pods"
  referenced_security_group_id = var.node_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_db_subnet_group" "this" {
  name       = "${var.name}-jobs"
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name   = "${var.name}-jobs-postgres17"
  family = "postgres17"

  # Connections without TLS are refused.
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

resource "aws_db_instance" "this" {
  identifier     = "${var.name}-jobs"
  engine         = "postgres"
  engine_version = "17"
  instance_class = var.instance_class
  db_name        = local.database
  port           = local.port
  multi_az       = var.multi_az

  # Of the administrator, in Secrets Manager and not in the state. RDS rotates it every week, so the
  # server has a user of its own.
  username                      = "postgres"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = aws_kms_key.this.arn

  storage_type          = "gp3"
  allocated_storage     = var.storage_gib
  max_allocated_storage = 4 * var.storage_gib
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.this.name
  publicly_accessible    = false

  # Any second of so many days can be restored.
  backup_retention_period    = var.restore_days
  backup_window              = "01:00-02:00"
  maintenance_window         = "sun:02:00-sun:03:00"
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true
  deletion_protection        = var.deletion_protection
  skip_final_snapshot        = false
  final_snapshot_identifier  = "${var.name}-jobs-final"

  enabled_cloudwatch_logs_exports = ["postgresql"]

  lifecycle {
    # RDS raises it as the tables grow.
    ignore_changes = [allocated_storage]
  }
}

locals {
  port     = 5432
  database = "verbatim"
}
