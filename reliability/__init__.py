"""Campaigns that damage, kill and starve stores, and what became of them (docs/reliability.md)."""
