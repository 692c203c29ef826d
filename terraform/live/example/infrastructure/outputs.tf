# What the platform reads from this root's state.

output "region" {
  description = "Region of everything."
  value       = var.region
}

output "name" {
  description = "Name of the cluster."
  value       = module.cluster.name
}

output "tags" {
  description = "Tags of everything, for nodes that Karpenter starts."
  value       = local.tags
}

output "cluster" {
  description = "How to reach the API server."
  value = {
    endpoint              = module.cluster.endpoint
    certificate_authority = module.cluster.certificate_authority
  }
}

output "vpc" {
  description = "The VPC's id and range, and the ranges that load balancers send from."
  value       = { id = module.network.vpc_id, cidr = module.network.cidr, public_cidrs = module.network.public_cidrs }
}

output "host" {
  description = "Name under which Verbatim is reached, and its zone."
  value       = { name = var.host, zone = var.hosted_zone, zone_id = data.aws_route53_zone.this.zone_id }
}

output "certificate_arn" {
  description = "Certificate of the host, once it is valid."
  value       = aws_acm_certificate_validation.this.certificate_arn
}

output "image" {
  description = "Where the server's image is pushed to and pulled from, without a tag."
  value       = module.registry.urls["${var.name}/verbatim"]
}

output "models_bucket" {
  description = "Bucket of the models."
  value       = module.models.bucket
}

output "secret" {
  description = "Name of the secret that is filled by hand."
  value       = aws_secretsmanager_secret.verbatim.name
}

output "identities" {
  description = "Service accounts that AWS knows, and the annotations that they need."
  value = {
    for name, identity in local.identities : name => {
      namespace   = identity.namespace
      account     = identity.account
      annotations = module.identity[name].service_account_annotations
    }
  }
}

output "karpenter" {
  description = "What Karpenter is told; null where a managed group has the GPUs."
  value = one([for karpenter in module.karpenter : {
    namespace        = karpenter.namespace
    service_account  = karpenter.service_account
    instance_profile = karpenter.instance_profile
    queue            = karpenter.interruption_queue
  }])
}

output "gpu_pool" {
  description = "The managed group: how many nodes, on Spot or not, and whether their image brings NVIDIA's device plugin; null with Karpenter."
  value = one([for group in module.gpu_nodes : {
    nodes             = var.gpu_nodes.nodes
    spot              = var.gpu_nodes.spot
    has_device_plugin = group.has_device_plugin
  }])
}

output "limit_store_url" {
  description = "Where pods count limits together."
  value       = module.limit_store.url
}

output "jobs" {
  description = "Where jobs keep recordings, and the parts of the database's URL; null without jobs."
  value = one([for jobs in module.jobs : {
    objects              = jobs.objects
    database             = jobs.database
    administrator_secret = jobs.administrator_secret
  }])
}

output "gpu_vcpu_quota" {
  description = "vCPUs of GPU instances that the account may run, on demand and spot."
  value       = { for kind, quota in data.aws_servicequotas_service_quota.gpu : kind => quota.value }
}

output "access_logs_bucket" {
  description = "Bucket for the load balancer's access logs."
  value       = module.observability.access_logs_bucket
}

output "heartbeat_topic" {
  description = "SNS topic of Alertmanager's Watchdog."
  value       = module.observability.heartbeat_topic_arn
}

output "alerts_topic" {
  description = "SNS topic that Alertmanager writes to."
  value       = module.observability.topic_arn
}

output "log_group" {
  description = "Log group of the containers."
  value       = module.observability.log_group
}

output "metrics_write_url" {
  description = "Where Prometheus writes a copy; null without long_term_metrics."
  value       = module.observability.metrics_write_url
}
