# The policies of this folder as customer managed ones, attached to the role of Larder's operator:
#
#   module "larder_iam" {
#     source  = "github.com/larder-dev/larder//config/iam"
#     role    = aws_iam_role.larder.name
#     targets = ["managed-node-group"]
#   }

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "role" {
  description = "Name of the IAM role that the operator's service account has, by EKS Pod Identity or IRSA."
  type        = string
}

variable "targets" {
  description = "What bindings write besides Karpenter's EC2NodeClasses: names of policies of this folder, without .json."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for target in var.targets : fileexists("${path.module}/${target}.json")])
    error_message = "Each target is the name of a policy of config/iam, such as managed-node-group or ecs-service."
  }
}

variable "passed_roles" {
  description = "ARNs of the roles that the launch-template and ecs-service targets may pass on: those of nodes, and the infrastructure roles of volumes."
  type        = list(string)
  default     = ["arn:aws:iam::*:role/*"]
}

variable "policy_name" {
  description = "Name of the policy that every operator needs; those of targets are called after it: larder-ecs-service."
  type        = string
  default     = "larder"
}

resource "aws_iam_policy" "this" {
  for_each = setunion(["larder"], var.targets)

  name        = each.key == "larder" ? var.policy_name : "${var.policy_name}-${each.key}"
  description = "What Larder asks of AWS: config/iam/${each.key}.json"
  policy      = replace(file("${path.module}/${each.key}.json"), "[\"arn:aws:iam::*:role/*\"]", jsonencode(var.passed_roles))
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = aws_iam_policy.this

  role       = var.role
  policy_arn = each.value.arn
}
