"""Tests of journal and incident folder: real files, real processes, real disks that are full."""
