"""A strict AWS on loopback for drills and tests: moto behind a front that authenticates and authorises.

`python -m breakglass_aws.sandbox` serves it. The product never imports it otherwise: it is started as a
program of its own (`breakglass_aws.sandbox.process`).
"""
