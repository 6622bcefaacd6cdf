"""Campaigns that damage, kill and starve stores; docs/reliability.md has their figures."""
