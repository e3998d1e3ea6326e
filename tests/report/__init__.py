"""Tests of timings, report and its formats."""
