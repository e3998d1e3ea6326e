"""Tests of planning: order, doors, restore, the verdict."""
