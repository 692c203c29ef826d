import asyncio
from pathlib import Path

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER


async def test_the_event_loop_is_never_blocked_for_long(three_minutes: Path) -> None:
    with LiveServer() as server:
        async with server.async_client as client:
            names = ["12_short_clip.wav", "11_sales_call.mp3", "13_stereo_call.m4a"] * 2
            await asyncio.gather(
                client.audio.transcriptions.create(file=three_minutes, model="whisper-1"),
                *(
                    client.audio.transcriptions.create(file=FOLDER / name, model="whisper-1")
                    for name in names
                ),
            )
        in_time = server.metric('stt_event_loop_lag_seconds_bucket{le="0.1"}')
        total = server.metric("stt_event_loop_lag_seconds_count")
        assert total > 100
        # A shared machine takes the processor away now and then; we never hold the loop.
        assert total - in_time <= total * 0.01
