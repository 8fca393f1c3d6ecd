"""python -m extracted_service [--host 127.0.0.1] [--port 8002]: the service on uvicorn."""

import argparse

import uvicorn

from .frames import LARGEST_FRAME_BYTES
from .telemetry import LOGGING

KEEP_ALIVE_SECONDS = 75  # well above the time for which the router keeps an idle connection


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m extracted_service", description="The assistant's endpoints.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8002)
    parser.add_argument("--access-log", action="store_true", help="log a line per request")
    options = parser.parse_args()
    # uvloop and httptools are taken by themselves wherever they are installed.
    uvicorn.run(
        "extracted_service.app:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        access_log=options.access_log,
        log_config=LOGGING,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws_max_size=LARGEST_FRAME_BYTES,
        ws_per_message_deflate=False,  # a token is too short to get shorter
    )


if __name__ == "__main__":
    main()
