"""What the contenders' processes run.

These modules import each other by their plain names: they run with this folder on their path, also in environments in
which this library is not installed. A program offers

    send(kind, numbers)           submit one task for each number, one after another
    send_many(kind, numbers)      the same in whatever is fastest; absent where a system has no such way
    worker(concurrency)           the command that starts a worker
    drain()                       run what was sent, in this process; in place of `worker` where there is none
    repeat(kind, number, count)   submit the same task `count` times; absent where repetitions are not answered
    run(kind, number)             submit, and wait until the outcome is stored; absent where none answers repetitions
    join(kind, numbers)           submit, and wait for all outcomes; absent where there is no such way
    fill(count)                   make copies of a completed record, until there are `count`
    load(count)                   do `count` things of its own kind; raise where one was not done

`kind` is one of `work.WORK`.
"""
