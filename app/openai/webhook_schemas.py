"""Shapes of webhook endpoints: OpenAI's, with what has become of deliveries (docs/webhooks.md)."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from app.openai.job_schemas import UnixTime
from app.openai.schemas import Count


class WebhookEndpoint(TypedDict):
    id: str
    object: Literal["webhook_endpoint"]
    name: str
    url: str
    event_types: list[str]
    created_at: UnixTime
    updated_at: UnixTime
    signing_secret_hint: str
    disabled_at: Annotated[
        UnixTime | None, Field(description="When its receiver answered 410; a change enables it.")
    ]


class WebhookEndpointWithSecret(WebhookEndpoint):
    signing_secret: Annotated[str, Field(description="`whsec_…`, shown this once.")]


class WebhookEndpointList(TypedDict):
    object: Literal["list"]
    data: list[WebhookEndpoint]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedWebhookEndpoint(TypedDict):
    id: str
    object: Literal["webhook_endpoint.deleted"]
    deleted: Literal[True]


class WebhookEndpointTestResult(TypedDict):
    object: Literal["webhook_endpoint.test"]
    webhook_endpoint_id: str
    event_type: str
    status_code: Annotated[int, Field(description="Of the receiver's answer.")]
    success: Literal[True]


class WebhookEventTypeList(TypedDict):
    object: Literal["list"]
    data: list[str]


class WebhookDelivery(TypedDict):
    object: Literal["webhook_delivery"]
    event_id: str
    event_type: str
    data: Annotated[dict[str, str], Field(description="The `id` of the job or batch.")]
    created_at: UnixTime
    attempts: Count
    last_status: Annotated[int | None, Field(description="`null` if nothing answered.")]
    next_attempt_at: Annotated[UnixTime | None, Field(description="`null` if none follows.")]
    delivered_at: UnixTime | None


class WebhookDeliveryList(TypedDict):
    object: Literal["list"]
    data: list[WebhookDelivery]
    has_more: bool


WebhookAnswers = (
    WebhookEndpoint
    | WebhookEndpointWithSecret
    | WebhookEndpointList
    | DeletedWebhookEndpoint
    | WebhookEndpointTestResult
    | WebhookEventTypeList
    | WebhookDeliveryList
)
"""Bodies that the OpenAPI document names."""
