"""What `queues bench --with compat.bench.extension:SHIM` measures: one Celery program, on Celery and on the shim."""
