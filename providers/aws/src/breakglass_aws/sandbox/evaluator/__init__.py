"""Decides as IAM documents it: policies in, a decision out. Knows nothing of any server."""

from breakglass_aws.sandbox.evaluator.decide import Decision, Inputs, decide
from breakglass_aws.sandbox.evaluator.document import Policy, PolicyError, parse
from breakglass_aws.sandbox.evaluator.request import Principal, Request

__all__ = ["Decision", "Inputs", "Policy", "PolicyError", "Principal", "Request", "decide", "parse"]
