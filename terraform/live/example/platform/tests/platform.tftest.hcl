mock_provider "helm" {}

override_data {
  target = data.terraform_remote_state.infrastructure
  values = {
    outputs = {
      name    = "speech"
      region  = "eu-central-1"
      tags    = { project = "speech" }
      cluster = { endpoint = "https://cluster.example.com", certificate_authority = "UEVN" }
      vpc     = { id = "vpc-1", cidr = "10.40.0.0/16", public_cidrs = ["10.40.240.0/24", "10.40.241.0/24"] }
      host    = { name = "speech.example.com", zone = "example.com", zone_id = "Z1" }

      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      image           = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/speech/verbatim"
      models_bucket   = "speech-models-111122223333"
      secret          = "speech/verbatim"
      identities = {
        alertmanager             = { namespace = "monitoring", account = "alertmanager", annotations = {} }
        external-dns             = { namespace = "kube-system", account = "external-dns", annotations = {} }
        external-secrets         = { namespace = "external-secrets", account = "external-secrets", annotations = {} }
        fluent-bit               = { namespace = "monitoring", account = "fluent-bit", annotations = {} }
        load-balancer-controller = { namespace = "kube-system", account = "aws-load-balancer-controller", annotations = {} }
        model-pull               = { namespace = "verbatim", account = "model-pull", annotations = {} }
        verbatim                 = { namespace = "verbatim", account = "verbatim", annotations = {} }
      }
      karpenter = {
        namespace        = "kube-system"
        service_account  = "karpenter"
        instance_profile = "speech-karpenter-nodes"
        queue            = "speech-interruptions"
      }
      alerts_topic = "arn:aws:sns:eu-central-1:111122223333:speech-alerts"
      log_group    = "/verbatim/speech/containers"

      heartbeat_topic    = "arn:aws:sns:eu-central-1:111122223333:speech-heartbeat"
      access_logs_bucket = "speech-access-logs-111122223333"
      limit_store_url    = "rediss://master.speech-limits.example.com:6379/0"
      gpu_vcpu_quota     = { on_demand = 108, spot = 24 }
    }
  }
}

variables {
  state     = { bucket = "speech-terraform", key = "verbatim/infrastructure.tfstate", region = "eu-central-1" }
  image_tag = "0.1.0-cuda"
  gpu       = { ami_alias = "al2023@v20261115" }
}

run "one_address_from_browser_to_pod" {
  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).ingress.hosts == ["speech.example.com"] &&
      yamldecode(helm_release.verbatim.values[0]).ingress.alb.certificateArn == "arn:aws:acm:eu-central-1:111122223333:certificate/1" &&
      yamldecode(helm_release.verbatim.values[0]).ingress.alb.wafAclArn == "" &&
      output.url == "https://speech.example.com/v1"
    )
    error_message = "the host, its certificate, and no WAF unless one is given"
  }

  assert {
    condition     = yamldecode(helm_release.external_dns.values[0]).extraArgs == ["--zone-id-filter=Z1"]
    error_message = "records are written in this zone alone"
  }
}

run "the_server_holds_connections_longer_than_the_load_balancer" {
  variables {
    idle_timeout_seconds = 600
  }

  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).ingress.alb.idleTimeoutSeconds == 600 &&
      yamldecode(helm_release.verbatim.values[0]).settings.server.idle_connection_seconds == 660
    )
    error_message = "the load balancer would send requests into closed connections"
  }
}

run "a_node_lives_as_long_as_its_last_pod" {
  variables {
    drain_seconds = 900
  }

  assert {
    condition = (
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.template.spec.terminationGracePeriod == "1005s" &&
      yamldecode(helm_release.verbatim.values[0]).drain.seconds == 900
    )
    error_message = "900 s of drain, 30 s after SIGTERM, 15 s of margin and a minute"
  }
}

run "on_spot_a_pod_is_gone_within_the_notice" {
  variables {
    gpu = { ami_alias = "al2023@v20261115", spot = true }
  }

  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).drain.seconds == 90 &&
      yamldecode(helm_release.verbatim.values[0]).settings.server.drain_seconds == 15 &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.template.spec.terminationGracePeriod == "180s"
    )
    error_message = "90 s of drain, 15 s after SIGTERM and 15 s of margin are its two minutes"
  }
}

run "a_drain_that_is_longer_than_spots_notice_is_refused" {
  command = plan
  variables {
    drain_seconds = 91
    gpu           = { ami_alias = "al2023@v20261115", spot = true }
  }
  expect_failures = [helm_release.verbatim]
}

run "gpu_nodes_are_bought_on_demand_and_given_back" {
  assert {
    condition = [
      for each in yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.template.spec.requirements :
      "${each.key}=${join(",", each.values)}"
      ] == [
      "karpenter.k8s.aws/instance-gpu-name=l4",
      "karpenter.k8s.aws/instance-gpu-count=1",
      "karpenter.k8s.aws/instance-family=g6f,gr6f",
      "karpenter.sh/capacity-type=on-demand",
      "kubernetes.io/arch=amd64",
    ]
    error_message = "one L4 per node, and nothing that is taken back while it works"
  }

  assert {
    condition = (
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.disruption.consolidationPolicy == "WhenEmpty" &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.limits["nvidia.com/gpu"] == 5
    )
    error_message = "nodes that work stay, and there is an upper limit of the bill"
  }

  assert {
    condition = (
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.metadataOptions.httpTokens == "required" &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.metadataOptions.httpPutResponseHopLimit == 1 &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.blockDeviceMappings[0].ebs.encrypted &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.tags.project == "speech"
    )
    error_message = "pods must not take the node's role; disks are encrypted, nodes are tagged"
  }
}

run "nodes_are_rolled_by_night_and_for_a_new_image_alone" {
  assert {
    condition = (
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.template.spec.expireAfter == "Never" &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.disruption.budgets[1].reasons == ["Drifted"] &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.disruption.budgets[1].schedule == "0 5 * * mon-fri"
    )
    error_message = "calls are cut by day"
  }

  assert {
    condition = (
      yamldecode(helm_release.karpenter[0].values[0]).settings.featureGates.nodeRepair &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.instanceStorePolicy == "RAID0" &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.blockDeviceMappings[0].ebs.throughput == 125
    )
    error_message = "nodes with a broken GPU are replaced; images lie on NVMe, and nobody pays for a fast volume beside it"
  }
}

run "the_latest_image_of_nodes_is_refused" {
  command = plan
  variables {
    gpu = { ami_alias = "al2023@latest" }
  }
  expect_failures = [var.gpu]
}

run "pods_stand_ready_when_the_day_begins" {
  variables {
    replicas     = { minimum = 2, maximum = 24 }
    hours        = [{ timezone = "Europe/Berlin", start = "45 8 * * 1-5", end = "0 18 * * 1-5", replicas = 16 }]
    placeholders = 2
    gpu          = { ami_alias = "al2023@v20261115", maximum = 27 }
  }

  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).autoscaling.keda.cron[0].replicas == 16 &&
      yamldecode(helm_release.verbatim.values[0]).placeholder.replicas == 2
    )
    error_message = "27 nodes of 4 vCPUs are the quota of 108"
  }
}

run "more_nodes_than_the_quota_are_refused" {
  command = plan
  variables {
    gpu = { ami_alias = "al2023@v20261115", maximum = 28 }
  }
  expect_failures = [helm_release.node_pool]
}

run "more_pods_by_the_clock_than_at_most_are_refused" {
  command = plan
  variables {
    hours = [{ timezone = "UTC", start = "0 8 * * *", end = "0 9 * * *", replicas = 5 }]
  }
  expect_failures = [var.hours]
}

run "without_a_database_there_are_no_jobs" {
  assert {
    condition = (
      !yamldecode(helm_release.verbatim.values[0]).jobs.enabled &&
      length(yamldecode(helm_release.verbatim.values[0]).secrets.jobsDatabase) == 0 &&
      length(yamldecode(helm_release.verbatim.values[0]).externalSecret.data) == 2
    )
    error_message = "the server keeps nothing"
  }
}

run "workers_without_a_database_are_refused" {
  command = plan
  variables {
    workers = 1
    gpu     = { ami_alias = "al2023@v20261115", maximum = 6 }
  }
  expect_failures = [helm_release.verbatim]
}

run "workers_without_nodes_are_refused" {
  command = plan
  variables {
    workers = 1
  }
  expect_failures = [var.gpu]
}

run "limits_count_over_all_pods" {
  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).extraEnv[0].value == "rediss://master.speech-limits.example.com:6379/0" &&
      contains([for rule in yamldecode(helm_release.verbatim.values[0]).networkPolicy.egress : rule.ports[0].port], 6379)
    )
    error_message = "each pod would count for itself"
  }
}

run "the_end_of_prometheus_is_noticed" {
  assert {
    condition = (
      yamldecode(helm_release.monitoring.values[0]).alertmanager.config.route.routes[0].receiver == "heartbeat" &&
      yamldecode(helm_release.monitoring.values[0]).alertmanager.config.receivers[0].sns_configs[0].topic_arn == "arn:aws:sns:eu-central-1:111122223333:speech-heartbeat" &&
      yamldecode(helm_release.monitoring.values[0]).prometheus.prometheusSpec.replicas == 2
    )
    error_message = "CloudWatch waits for its heartbeat"
  }
}

run "spot_falls_back_to_on_demand" {
  variables {
    gpu = { ami_alias = "al2023@v20261115", spot = true, parallel_pull = true }
  }

  assert {
    condition     = yamldecode(yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.userData).spec.featureGates.FastImagePull
    error_message = "layers are pulled side by side"
  }

  assert {
    condition     = yamldecode(helm_release.node_pool[0].values[0]).objects[1].spec.template.spec.requirements[3].values == ["spot", "on-demand"]
    error_message = "where there is no spare capacity, the dearer one"
  }
}

run "the_model_is_in_the_image" {
  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).settings.model == "base" &&
      yamldecode(helm_release.verbatim.values[0]).settings.models.offline &&
      yamldecode(helm_release.verbatim.values[0]).modelCache.type == "none" &&
      length(yamldecode(helm_release.verbatim.values[0]).initContainers) == 0
    )
    error_message = "nothing is copied or downloaded, and no volume lies over it"
  }
}

run "the_image_may_have_another_model" {
  variables {
    model = "large-v3-turbo"
  }

  assert {
    condition     = yamldecode(helm_release.verbatim.values[0]).settings.model == "large-v3-turbo"
    error_message = "the one that it was built with"
  }
}

run "models_come_from_the_bucket" {
  variables {
    model_source = "bucket"
    model_prefix = "models/sales-de"
  }

  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).settings.model == "/models/sales-de" &&
      yamldecode(helm_release.verbatim.values[0]).settings.models.offline &&
      yamldecode(helm_release.verbatim.values[0]).modelCache.type == "emptyDir" &&
      yamldecode(helm_release.verbatim.values[0]).initContainers[0].args ==
      ["s3", "sync", "--no-progress", "s3://speech-models-111122223333/models/sales-de", "/models/sales-de"]
    )
    error_message = "the server must find what was copied"
  }
}

run "a_job_pulls_a_model_into_the_bucket_once" {
  variables {
    model_source = "bucket"
    model_prefix = "models/large-v3-turbo"
    pulled_model = "large-v3-turbo"
  }

  assert {
    condition = (
      yamldecode(helm_release.model[0].values[0]).objects[1].spec.template.spec.initContainers[0].command[3] == "large-v3-turbo" &&
      yamldecode(helm_release.model[0].values[0]).objects[1].spec.template.spec.containers[0].command[3] ==
      "s3://speech-models-111122223333/models/large-v3-turbo" &&
      yamldecode(helm_release.verbatim.values[0]).settings.model == "/models/large-v3-turbo" &&
      helm_release.model[0].wait_for_jobs
    )
    error_message = "pods find in the bucket what the job has put there"
  }

  assert {
    condition     = yamldecode(helm_release.model[0].values[0]).objects[1].spec.template.spec.serviceAccountName == "model-pull"
    error_message = "the server's role may not write"
  }
}

run "a_model_that_nobody_would_read_is_not_pulled" {
  command = plan
  variables {
    pulled_model = "large-v3-turbo"
  }
  expect_failures = [var.pulled_model]
}

run "models_come_from_the_hub" {
  variables {
    model_source = "hub"
    model        = "large-v3-turbo"
  }

  assert {
    condition = (
      yamldecode(helm_release.verbatim.values[0]).settings.model == "large-v3-turbo" &&
      !yamldecode(helm_release.verbatim.values[0]).settings.models.offline &&
      yamldecode(helm_release.verbatim.values[0]).modelCache.type == "emptyDir" &&
      length(yamldecode(helm_release.verbatim.values[0]).initContainers) == 0
    )
    error_message = "the pod pulls it, to a volume"
  }
}

run "bottlerocket_brings_its_own_device_plugin" {
  variables {
    gpu = { ami_alias = "bottlerocket@v1.50.0" }
  }

  assert {
    condition = (
      length(helm_release.device_plugin) == 0 &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.blockDeviceMappings[0].deviceName == "/dev/xvdb" &&
      yamldecode(helm_release.node_pool[0].values[0]).objects[0].spec.blockDeviceMappings[0].ebs.throughput == 500
    )
    error_message = "two plugins would fight, and images lie on the second disk, which must be fast"
  }
}

run "no_pod_is_refused" {
  command = plan
  variables {
    replicas = { minimum = 0 }
  }
  expect_failures = [var.replicas]
}

run "fewer_at_most_than_at_least_is_refused" {
  command = plan
  variables {
    replicas = { minimum = 3, maximum = 2 }
  }
  expect_failures = [var.replicas]
}

run "no_gpu_to_spare_for_a_rollout_is_refused" {
  command = plan
  variables {
    gpu = { ami_alias = "al2023@v20261115", maximum = 4 }
  }
  expect_failures = [var.gpu]
}

run "an_image_family_that_does_not_exist_is_refused" {
  command = plan
  variables {
    gpu = { ami_alias = "al2023_gpu@latest" }
  }
  expect_failures = [var.gpu]
}

run "a_chart_of_any_version_is_refused" {
  command = plan
  variables {
    chart = "oci://ghcr.io/example/verbatim"
  }
  expect_failures = [var.chart_version]
}

run "the_latest_image_is_refused" {
  command = plan
  variables {
    image_tag = "latest"
  }
  expect_failures = [var.image_tag]
}

run "more_than_the_load_balancer_waits_is_refused" {
  command = plan
  variables {
    idle_timeout_seconds = 7200
  }
  expect_failures = [var.idle_timeout_seconds]
}

run "more_than_it_drains_is_refused" {
  command = plan
  variables {
    drain_seconds = 7200
  }
  expect_failures = [var.drain_seconds]
}

run "a_global_web_acl_is_refused" {
  command = plan
  variables {
    web_acl_arn = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/x/1"
  }
  expect_failures = [var.web_acl_arn]
}

run "a_prefix_with_a_slash_at_its_end_is_refused" {
  command = plan
  variables {
    model_source = "bucket"
    model_prefix = "models/"
  }
  expect_failures = [var.model_prefix]
}

run "a_bucket_without_a_prefix_is_refused" {
  command = plan
  variables {
    model_source = "bucket"
  }
  expect_failures = [var.model_prefix]
}

run "a_prefix_that_nobody_would_read_is_refused" {
  command = plan
  variables {
    model_prefix = "models/sales-de"
  }
  expect_failures = [var.model_prefix]
}

run "a_source_that_does_not_exist_is_refused" {
  command = plan
  variables {
    model_source = "disk"
  }
  expect_failures = [var.model_source]
}
