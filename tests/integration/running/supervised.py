"""`python supervised.py FOLDER stubborn|silent|chatty`: a supervisor over one small program."""

import asyncio
import re
import sys
from pathlib import Path

from app.embedded.output import Output
from app.embedded.program import Program
from app.embedded.supervisor import Supervisor

PROGRAMS = {
    "stubborn": "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
    "silent": "import time; print('on my way', flush=True); time.sleep(600)",
    "chatty": "print('x' * 100_000); print('API key: oq_secret'); print('\\x1b[31mready', flush=True)",
}


async def main() -> int:
    """Run it until a signal."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    program = Program(
        name=name,
        command=(sys.executable, "-c", PROGRAMS[name]),
        ready=re.compile("^ready"),
        start_within_s=1.0,
        stop_within_s=0.5,
        secret=re.compile("^API key"),
    )
    output = Output(folder)

    async def on_ready() -> None:
        output.say("all is ready")

    return await Supervisor([program], [], output).run(on_ready)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
