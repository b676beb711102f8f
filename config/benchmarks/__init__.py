"""Workloads over HTTP: what the way through the web server costs, and what a hot row costs."""
