"""What people say in a LiveKit room, printed while they say it, by Verbatim's realtime socket.

pip install "livekit-agents[openai]~=1.8"
python examples/integrations/livekit_agent.py dev
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import openai

server = AgentServer()


@server.rtc_session()
async def listen(context: JobContext) -> None:
    session = AgentSession(
        stt=openai.STT(
            base_url="http://127.0.0.1:8000/v1",
            api_key="any",
            model="whisper-1",
            language="en",
            use_realtime=True,
        )
    )
    session.on("user_input_transcribed", lambda event: print(event.transcript))
    await session.start(agent=Agent(instructions="not needed"), room=context.room)


if __name__ == "__main__":
    cli.run_app(server)
