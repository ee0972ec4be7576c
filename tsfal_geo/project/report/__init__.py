"""The report of a workspace: one HTML file for people who were not there."""
