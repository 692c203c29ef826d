output "url" {
  description = "Where the server keeps its counts: VERBATIM_LIMITS__STORE."
  value       = "rediss://${aws_elasticache_replication_group.this.primary_endpoint_address}:${local.port}/0"
}
