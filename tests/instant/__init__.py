"""Tests of the instant model."""
