mock_provider "aws" {
  mock_data "aws_default_tags" {
    defaults = { tags = { project = "speech" } }
  }
}

variables {
  cluster_name  = "speech"
  node_role_arn = "arn:aws:iam::111122223333:role/nodes"
  subnet_ids    = ["subnet-a"]
}

run "only_what_needs_a_gpu_comes_here" {
  assert {
    condition     = [for taint in aws_eks_node_group.this.taint : "${taint.key}=${taint.value}:${taint.effect}"] == ["nvidia.com/gpu=true:NO_SCHEDULE"]
    error_message = "everything would be scheduled on the dearest nodes"
  }

  assert {
    condition     = aws_eks_node_group.this.capacity_type == "ON_DEMAND" && aws_eks_node_group.this.ami_type == "AL2023_x86_64_NVIDIA"
    error_message = "spot is a choice, and the image must have a driver"
  }

  assert {
    condition     = !output.has_device_plugin && aws_launch_template.this.block_device_mappings[0].device_name == "/dev/xvda"
    error_message = "Amazon Linux has no device plugin"
  }
}

run "bottlerocket_keeps_images_on_its_second_disk" {
  variables {
    ami_type = "BOTTLEROCKET_x86_64_NVIDIA"
  }

  assert {
    condition     = output.has_device_plugin && aws_launch_template.this.block_device_mappings[0].device_name == "/dev/xvdb"
    error_message = "the large volume must be the one that holds images"
  }
}

run "instances_are_tagged_encrypted_and_deaf_to_pods" {
  assert {
    condition = (
      aws_launch_template.this.metadata_options[0].http_tokens == "required" &&
      aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1 &&
      tobool(aws_launch_template.this.block_device_mappings[0].ebs[0].encrypted)
    )
    error_message = "pods could take the node's role, or the disk is readable"
  }

  assert {
    condition     = alltrue([for each in aws_launch_template.this.tag_specifications : each.tags["project"] == "speech"])
    error_message = "default tags do not reach instances by themselves"
  }
}

run "spot_takes_what_there_is" {
  variables {
    spot           = true
    instance_types = ["g6.xlarge", "g5.xlarge"]
    nodes          = 0
  }

  assert {
    condition     = aws_eks_node_group.this.capacity_type == "SPOT" && aws_eks_node_group.this.scaling_config[0].desired_size == 0
    error_message = "zero spot nodes were asked for"
  }
}

run "several_types_on_demand_are_refused" {
  command = plan
  variables {
    instance_types = ["g6.xlarge", "g5.xlarge"]
  }
  expect_failures = [aws_eks_node_group.this]
}

run "a_type_without_gpu_is_refused" {
  command = plan
  variables {
    instance_types = ["m7i.large"]
  }
  expect_failures = [var.instance_types]
}

run "an_image_without_driver_is_refused" {
  command = plan
  variables {
    ami_type = "AL2023_x86_64_STANDARD"
  }
  expect_failures = [var.ami_type]
}

run "half_a_node_is_refused" {
  command = plan
  variables {
    nodes = 0.5
  }
  expect_failures = [var.nodes]
}

run "a_disk_too_small_for_the_image_is_refused" {
  command = plan
  variables {
    disk_gib = 20
  }
  expect_failures = [var.disk_gib]
}
