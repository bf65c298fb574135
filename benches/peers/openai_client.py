"""Replies a second through the official `openai` client with asyncio, written to a JSONL file.

    cargo bench -p ingrain-data --bench client -- --serve      # prints the URL
    python openai_client.py URL --requests 20000 --in-flight 64
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import tempfile
import time

from openai import AsyncOpenAI


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=64)
    args = parser.parse_args()
    client = AsyncOpenAI(base_url=args.url, api_key="none")
    numbers = iter(range(args.requests))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as out:

        async def worker() -> None:
            for i in numbers:
                reply = await client.chat.completions.create(
                    model="bench",
                    messages=[{"role": "user", "content": f"Question {i}?"}],
                    max_tokens=256,
                    temperature=0.7,
                    top_p=0.95,
                    seed=i,
                )
                record = {"id": i, "reply": reply.choices[0].message.content}
                out.write(json.dumps(record) + "\n")
                out.flush()

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(args.in_flight)))
        secs = time.perf_counter() - started
    with open(out.name) as lines:
        assert sum(1 for _ in lines) == args.requests
    os.unlink(out.name)
    versions = {"openai": importlib.metadata.version("openai")}
    figures = {"replies": args.requests, "secs": secs, "replies_per_sec": args.requests / secs}
    print(json.dumps(figures | {"in_flight": args.in_flight, "versions": versions}))


asyncio.run(main())
