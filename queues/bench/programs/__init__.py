"""What the contenders' processes run.

These modules import each other by their plain names: they run with this folder on their path, also in environments in
which this library is not installed. A program offers

    send(kind, numbers)           submit one task for each number, one after another
    send_many(kind, numbers)      the same in whatever is fastest; absent where a system has no such way
    worker(concurrency)           the command that starts a worker
    repeat(kind, number, count)   submit the same task `count` times; absent where repetitions are not answered

`kind` is one of `work.WORK`.
"""
