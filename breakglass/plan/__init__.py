"""Turns an inventory and a runbook into the plan that people sign."""
