"""Observers: Prometheus metrics and OpenTelemetry traces, each of which needs its package."""
