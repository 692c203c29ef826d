mock_provider "aws" {
  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "master.speech-limits.example.com" }
  }
}

variables {
  name                   = "speech"
  vpc_id                 = "vpc-1"
  subnet_ids             = ["subnet-1", "subnet-2"]
  node_security_group_id = "sg-nodes"
}

run "nodes_alone_reach_it_by_tls" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" &&
      aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null &&
      aws_elasticache_replication_group.this.transit_encryption_enabled &&
      aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true"
    )
    error_message = "it has no password"
  }

  assert {
    condition     = output.url == "rediss://master.speech-limits.example.com:6379/0"
    error_message = "the scheme says TLS"
  }
}

run "the_loss_of_a_zone_is_survived" {
  assert {
    condition = (
      aws_elasticache_replication_group.this.num_cache_clusters == 2 &&
      aws_elasticache_replication_group.this.automatic_failover_enabled &&
      aws_elasticache_replication_group.this.multi_az_enabled
    )
    error_message = "one copy takes over"
  }
}

run "one_node_has_nothing_to_fail_over_to" {
  variables {
    replicas = 0
  }

  assert {
    condition = (
      aws_elasticache_replication_group.this.num_cache_clusters == 1 &&
      !aws_elasticache_replication_group.this.automatic_failover_enabled
    )
    error_message = "AWS refuses failover of a single node"
  }
}

run "too_many_copies_are_refused" {
  command = plan
  variables {
    replicas = 6
  }
  expect_failures = [var.replicas]
}
