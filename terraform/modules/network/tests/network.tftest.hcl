mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
}

variables {
  name               = "speech"
  availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

run "subnets_do_not_overlap_and_say_what_load_balancers_look_for" {
  assert {
    condition = [for subnet in values(aws_subnet.private) : subnet.cidr_block] == [
      "10.40.0.0/19", "10.40.32.0/19", "10.40.64.0/19"
    ]
    error_message = "private subnets moved: that replaces them, and every node in them"
  }

  assert {
    condition = [for subnet in values(aws_subnet.public) : subnet.cidr_block] == [
      "10.40.240.0/24", "10.40.241.0/24", "10.40.242.0/24"
    ]
    error_message = "public subnets moved"
  }

  assert {
    condition = alltrue([
      for subnet in aws_subnet.public :
      subnet.tags["kubernetes.io/role/elb"] == "1" && !subnet.map_public_ip_on_launch
    ])
    error_message = "the load balancer controller finds public subnets by their tag"
  }

  assert {
    condition = alltrue([
      for subnet in aws_subnet.private :
      subnet.tags["kubernetes.io/role/internal-elb"] == "1" && subnet.tags["karpenter.sh/discovery"] == "speech"
    ])
    error_message = "Karpenter finds private subnets by their tag"
  }
}

run "one_gateway_serves_all_zones_by_default" {
  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"] && length(aws_route.nat) == 3
    error_message = "each private subnet has a route to the one gateway"
  }
}

run "a_gateway_in_each_zone" {
  variables {
    nat = "per_zone"
  }

  assert {
    condition = alltrue([
      for zone, route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this[zone].id
    ])
    error_message = "a zone that fails takes no other with it"
  }
}

run "no_way_out" {
  variables {
    nat = "none"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.nat) == 0 && length(aws_eip.nat) == 0
    error_message = "private subnets must have no route to the internet"
  }
}

run "images_come_by_endpoints" {
  assert {
    condition = (
      aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3" &&
      length(aws_vpc_endpoint.s3.route_table_ids) == 3 &&
      toset(keys(aws_vpc_endpoint.interface)) == toset(["ecr.api", "ecr.dkr"])
    )
    error_message = "layers come from S3, manifests from ECR"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.40.0.0/16"
    error_message = "only the VPC may speak to its endpoints"
  }
}

run "no_endpoint_no_group" {
  variables {
    interface_endpoints     = []
    flow_log_retention_days = null
  }

  assert {
    condition     = length(aws_security_group.endpoints) == 0 && length(aws_flow_log.this) == 0 && length(aws_iam_role.flow) == 0
    error_message = "what is turned off leaves nothing behind"
  }
}

run "a_range_that_is_too_small_is_refused" {
  command = plan
  variables {
    cidr = "10.0.0.0/20"
  }
  expect_failures = [var.cidr]
}

run "an_address_that_is_none_is_refused" {
  command = plan
  variables {
    cidr = "10.0.0.0"
  }
  expect_failures = [var.cidr]
}

run "one_zone_is_refused" {
  command = plan
  variables {
    availability_zones = ["eu-central-1a"]
  }
  expect_failures = [var.availability_zones]
}

run "an_unknown_nat_is_refused" {
  command = plan
  variables {
    nat = "yes"
  }
  expect_failures = [var.nat]
}

run "a_period_that_cloudwatch_does_not_know_is_refused" {
  command = plan
  variables {
    flow_log_retention_days = 8
  }
  expect_failures = [var.flow_log_retention_days]
}

run "a_name_that_aws_would_refuse_is_refused" {
  command = plan
  variables {
    name = "Speech_1"
  }
  expect_failures = [var.name]
}
