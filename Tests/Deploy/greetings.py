#!/usr/bin/env python3
"""greetings.py ADDRESS:PORT FILE: greets a SOCKS5 server a hundred times a second until FILE exists. Fails if one
greeting isn't answered.
"""

import asyncio
import os
import sys


async def greet(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"\x05\x01\x00")
        answer = await reader.readexactly(2)
        if answer != b"\x05\x00":
            raise ValueError(f"answer {answer.hex()}")
    finally:
        writer.close()


async def main(address, file):
    host, port = address.rsplit(":", 1)
    greetings = []
    while not os.path.exists(file):
        greetings.append(asyncio.create_task(greet(host, int(port))))
        await asyncio.sleep(0.01)
    results = await asyncio.wait_for(asyncio.gather(*greetings, return_exceptions=True), 30)
    failed = [repr(one) for one in results if one is not None]
    print(f"{len(results) - len(failed)} greetings answered, {len(failed)} not {failed[:5] if failed else ''}".strip())
    sys.exit(bool(failed))


asyncio.run(main(*sys.argv[1:]))
