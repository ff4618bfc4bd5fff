"""Clients of the real servers, and a process that does what a test says."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Self

import pulsar
import redis

CHILD = """
import os, time, threading

def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return error.errno

def read(path):
    with open(path) as file:
        return file.read()

while True:
    print(eval(input()), flush=True)
"""


def connect(url: str, timeout_s: float = 5.0) -> redis.Redis:
    """A client that says at once what is wrong, instead of trying again."""
    return redis.Redis.from_url(url, socket_timeout=timeout_s, retry=None)


class Child:
    """A Python process that evaluates the expressions which it is sent, one a line."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, expression: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def pulsar_client(url: str) -> Any:
    """A client that prints errors alone; close it at the end of the test."""
    return pulsar.Client(
        url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error), operation_timeout_seconds=10
    )


def received(client: Any, topic: str) -> list[bytes]:
    """All messages of the topic, from its beginning, until none has come for two seconds."""
    consumer = client.subscribe(topic, "reader", initial_position=pulsar.InitialPosition.Earliest)
    messages = []
    try:
        while True:
            message = consumer.receive(timeout_millis=2000)
            messages.append(message.data())
            consumer.acknowledge(message)
    except pulsar.Timeout:
        return messages
    finally:
        consumer.close()
