"""The text of `.env.example`, from the table of settings; a test compares the file with it.

To write the file anew: `python -m kafka_worker.shared.configuration.env_example > .env.example`
"""

from __future__ import annotations

import sys
import textwrap
from itertools import groupby
from typing import List

from kafka_worker.shared.setting import Setting
from kafka_worker.shared.settings import TABLE

_WIDTH = 108  # columns, less "# "
_HEAD = """\
# Copy this to .env and remove the # of what you change. The environment goes before this file, and the
# command line before both. NAME_FILE instead of NAME names a file that holds the value, as Docker and
# Kubernetes mount secrets.
"""
_TAIL = """\

# ---- librdkafka's own properties ----
# KAFKA_CLIENT_ for consumer and producer, KAFKA_CONSUMER_ or KAFKA_PRODUCER_ for one of them, then the
# property's name in upper case with _ for each dot. All names:
# https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
#KAFKA_CLIENT_SECURITY_PROTOCOL=SASL_SSL
#KAFKA_CLIENT_SASL_MECHANISM=SCRAM-SHA-512
#KAFKA_CLIENT_SASL_USERNAME=
#KAFKA_CLIENT_SASL_PASSWORD_FILE=/run/secrets/kafka-password
#KAFKA_CONSUMER_AUTO_OFFSET_RESET=earliest
#KAFKA_CONSUMER_GROUP_PROTOCOL=consumer
#KAFKA_PRODUCER_COMPRESSION_TYPE=zstd

# ---- the schema registry's client (DECODER=avro, json-schema or protobuf) ----
# SCHEMA_REGISTRY_ and the property's name in the same way: those of confluent-kafka's SchemaRegistryClient.
#SCHEMA_REGISTRY_URL=https://registry:8081
#SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO_FILE=/run/secrets/registry-user-and-password
#SCHEMA_REGISTRY_SSL_CA_LOCATION=/etc/ssl/registry-ca.pem
"""


def env_example() -> str:
    """The whole file. Each setting is commented out, with its default."""
    groups = (
        f"\n# ---- {group} ----\n" + "".join(line for row in rows for line in _lines(row))
        for group, rows in groupby(TABLE.values(), key=lambda row: row.group)
    )
    return _HEAD + "".join(groups) + _TAIL


def _lines(row: Setting) -> List[str]:
    values = textwrap.wrap(f"{row.wanted}; {row.default_described}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return [f"# {line}\n" for line in [f"{row.meaning}:", *values]] + [f"#{row.environment}={row.default}\n"]


if __name__ == "__main__":
    sys.stdout.write(env_example())
