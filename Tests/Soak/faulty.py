"""faulty.py SOCKS5D ARGUMENTS...: a server with faults, for the soak to find. A real one stands behind it.

Of ten connections it changes a byte of one, drops a byte of another, closes a third when one side ends, and a fourth
at once. It passes a reset on as an end. It leaks memory and descriptors, ignores SIGHUP, and ends with 3.
"""

import asyncio
import os
import signal
import sys

from server import die_with_parent

leaks = []
numbers = iter(range(1 << 62))
real_port = 0


def spoil(data, number):
    if len(data) < 1000 or number % 10 > 1:
        return data
    return data[:500] + (bytes([data[500] ^ 1]) if number % 10 == 0 else b"") + data[501:]


async def pump(reader, writer, other, number):
    try:
        while data := await reader.read(65536):
            writer.write(spoil(data, number))
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()
    if number % 10 == 2:
        other.close()


async def serve(reader, writer):
    number = next(numbers)
    if number % 10 == 3:
        return writer.close()
    # A descriptor that stays.
    leaks.append(open("/dev/null"))
    source = (writer.get_extra_info("peername")[0], 0)
    real_reader, real_writer = await asyncio.open_connection("127.0.0.1", real_port, local_addr=source)
    await asyncio.gather(
        pump(reader, real_writer, writer, number), pump(real_reader, writer, real_writer, number)
    )
    writer.close()
    real_writer.close()


async def leak():
    while True:
        leaks.append(bytearray(os.urandom(1 << 18)) * 8)
        await asyncio.sleep(0.5)


async def main():
    global real_port
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    real = await asyncio.create_subprocess_exec(
        *sys.argv[1:], stderr=asyncio.subprocess.PIPE, preexec_fn=die_with_parent
    )
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, real.terminate)
    leaking = asyncio.create_task(leak())
    while line := (await real.stderr.readline()).decode():
        if line.startswith("listening on "):
            real_port = int(line.rsplit(":", 1)[1])
            line = f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}\n"
        sys.stderr.write(line)
        sys.stderr.flush()
    leaking.cancel()
    await real.wait()
    os._exit(3)


if sys.argv[2] == "hash-password":
    os.execv(sys.argv[1], sys.argv[1:])
asyncio.run(main())
