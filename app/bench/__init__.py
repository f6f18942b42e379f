"""The service in the benchmark: `queues bench --with app.bench.extension:SERVICE`.

The other modules are programs, each run in a process of its own by the benchmark's driver.
"""
