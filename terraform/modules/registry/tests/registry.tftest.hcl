mock_provider "aws" {}

variables {
  repositories = ["verbatim/server"]
}

run "what_was_tested_is_what_runs" {
  assert {
    condition = (
      aws_ecr_repository.this["verbatim/server"].image_tag_mutability == "IMMUTABLE" &&
      aws_ecr_repository.this["verbatim/server"].image_scanning_configuration[0].scan_on_push
    )
    error_message = "a tag could mean another image tomorrow"
  }
}

run "old_images_go" {
  variables {
    kept_images = 5
  }

  assert {
    condition = [
      for rule in jsondecode(aws_ecr_lifecycle_policy.this["verbatim/server"].policy).rules :
      "${rule.selection.tagStatus} ${rule.selection.countNumber}"
    ] == ["untagged 7", "tagged 5"]
    error_message = "leftovers for a week, and as many images as were asked for"
  }
}

run "no_repository_is_refused" {
  command = plan
  variables {
    repositories = []
  }
  expect_failures = [var.repositories]
}

run "a_name_in_capitals_is_refused" {
  command = plan
  variables {
    repositories = ["Verbatim"]
  }
  expect_failures = [var.repositories]
}

run "nothing_to_roll_back_to_is_refused" {
  command = plan
  variables {
    kept_images = 1
  }
  expect_failures = [var.kept_images]
}
