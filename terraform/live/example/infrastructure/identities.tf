locals {
  # Service accounts that AWS knows, and what they may do there. Karpenter's is in its module.
  identities = merge(
    {
      verbatim = {
        namespace = "verbatim"
        account   = "verbatim"
        policies = merge(
          { models = module.models.read_policy },
          { for jobs in module.jobs : "jobs" => jobs.access_policy },
        )
      }
      model-pull = {
        namespace = "verbatim"
        account   = "model-pull"
        policies  = { models = module.models.write_policy }
      }
      load-balancer-controller = {
        namespace = "kube-system"
        account   = "aws-load-balancer-controller"
        policies  = { load-balancers = local.load_balancer_policy }
      }
      external-dns = {
        namespace = "kube-system"
        account   = "external-dns"
        policies  = { records = local.dns_policy }
      }
      external-secrets = {
        namespace = "external-secrets"
        account   = "external-secrets"
        policies  = { secrets = local.secrets_policy }
      }
      fluent-bit = {
        namespace = "monitoring"
        account   = "fluent-bit"
        policies  = { logs = module.observability.log_write_policy }
      }
      alertmanager = {
        namespace = "monitoring"
        account   = "alertmanager"
        policies  = { alerts = module.observability.alert_policy }
      }
    },
    var.long_term_metrics ? {
      prometheus = {
        namespace = "monitoring"
        account   = "prometheus"
        policies  = { metrics = module.observability.metrics_write_policy }
      }
    } : {},
  )

  dns_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["route53:ListResourceRecordSets", "route53:ListTagsForResource"]
        Resource = [data.aws_route53_zone.this.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["route53:ChangeResourceRecordSets"]
        Resource = [data.aws_route53_zone.this.arn]
        # The host, and the record that says whose it is. Other hosts of the zone are not its business.
        Condition = {
          "ForAllValues:StringLike" = {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames" = [var.host, "*-${var.host}"]
          }
        }
      },
      {
        Effect   = "Allow"
        Action   = ["route53:ListHostedZones"]
        Resource = "*"
      },
    ]
  })

  secrets_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
      Resource = [aws_secretsmanager_secret.verbatim.arn]
    }]
  })
}

module "identity" {
  source   = "../../../modules/workload-identity"
  for_each = local.identities

  name              = each.key
  cluster_name      = module.cluster.name
  namespace         = each.value.namespace
  service_account   = each.value.account
  policies          = each.value.policies
  identity          = var.identity
  oidc_provider_arn = module.cluster.oidc_provider_arn
  oidc_issuer       = module.cluster.oidc_issuer
}
