"""Prints the story of a match as it happens, from the topics that docs/events.md describes.

    pip install pulsar-client
    python print_match_story.py PIPELINE_ID --url pulsar://127.0.0.1:6650

It reads both topics from their beginnings and ends with the pipeline.
"""

import argparse
import json

import pulsar

ENDS = {"PipelineCompleted", "PipelineFailed", "PipelineCancelled"}


def pipeline_line(event: dict) -> str:
    words = [event["time"][11:19], event["kind"], event["cell"], event["message"]]
    return "  ".join(word for word in words if word)


def match_line(event: dict) -> str:
    minutes, seconds = divmod(int(event["start_s"]), 60)
    players = " to ".join(name for name in (event["player"], event["receiver"]) if name)
    words = [f"{minutes:3}:{seconds:02}", event["type"], players or event["team"], event["outcome"]]
    return "  ".join(word for word in words if word)


def messages(client: pulsar.Client, topic: str, pipeline_id: str, *, wait: bool):
    """The pipeline's messages from the topic's beginning; with `wait`, those to come as well."""
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    while wait or reader.has_message_available():
        message = reader.read_next()
        if message.partition_key() == pipeline_id:
            yield json.loads(message.data())


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints the story of a match as it happens.")
    parser.add_argument("pipeline_id")
    parser.add_argument("--url", default="pulsar://127.0.0.1:6650")
    parser.add_argument("--topics", default="persistent://public/default/footanalytics")
    options = parser.parse_args()
    client = pulsar.Client(options.url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    pipeline, match = f"{options.topics}.pipeline", f"{options.topics}.match"
    for event in messages(client, pipeline, options.pipeline_id, wait=True):
        print(pipeline_line(event), flush=True)
        if event["kind"] == "StageCompleted" and event["stage"] == "event_detection":
            # the match events are all there now: they are published before this one
            for found in messages(client, match, options.pipeline_id, wait=False):
                if found["key"] == event["key"]:
                    print(match_line(found), flush=True)
        if event["kind"] in ENDS:
            break
    client.close()


if __name__ == "__main__":
    main()
