"""Conditions and aggregates on states along time: when, series."""
