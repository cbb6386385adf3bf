"""An order in each format of a schema registry, written by confluent-kafka's own serializers."""

from __future__ import annotations

import json
from typing import Any, Dict

from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

AVRO = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "fields": [{"name": "id", "type": "long"}, {"name": "item", "type": ["null", "string"], "default": None}],
    }
)
JSON = json.dumps(
    {
        "title": "Order",
        "type": "object",
        "properties": {"id": {"type": "integer"}, "item": {"type": "string"}},
        "required": ["id"],
    }
)
CONF = {"subject.name.strategy": topic_subject_name_strategy}


def _classes() -> Dict[str, Any]:
    file = FileDescriptorProto(name="shop_orders.proto", package="shop", syntax="proto3")
    for name in ("Refund", "Order"):
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate((("id", "TYPE_INT64"), ("item", "TYPE_STRING")), 1):
            message.field.add(
                name=field, number=number, type=getattr(FieldDescriptorProto, kind), label=FieldDescriptorProto.LABEL_OPTIONAL
            )
    pool = descriptor_pool.Default()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"shop.{name}")) for name in ("Refund", "Order")}


CLASSES = _classes()
Order, Refund = CLASSES["Order"], CLASSES["Refund"]


def serialized(name: str, url: str, topic: str, order: Dict[str, Any], kind: Any = Order) -> bytes:
    """An order as a message of this format; its schema is in the registry after that. `kind`: the class of Protobuf."""
    client = SchemaRegistryClient({"url": url, "timeout": 5})
    context = SerializationContext(topic, MessageField.VALUE)
    if name == "avro":
        return AvroSerializer(client, AVRO, conf=CONF)(order, context)  # type: ignore[no-any-return]
    if name == "json-schema":
        return JSONSerializer(JSON, client, conf=CONF)(order, context)  # type: ignore[no-any-return]
    return ProtobufSerializer(kind, client, {**CONF, "use.deprecated.format": False})(kind(**order), context)  # type: ignore[no-any-return]
