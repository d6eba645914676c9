from __future__ import annotations

import pytest

from jobq.settings import TelemetrySettings, read_telemetry_settings

PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"


@pytest.mark.parametrize(
    ("environ", "found", "is_on"),
    [
        ({}, TelemetrySettings(), False),
        ({OTLP: ""}, TelemetrySettings(), False),
        ({OTLP: "http://x"}, TelemetrySettings(True, True), True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, TelemetrySettings(True, False), True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"}, TelemetrySettings(False, True), True),
        ({OTLP: "http://x", "OTEL_METRICS_EXPORTER": "none"}, TelemetrySettings(True, False), True),
        ({INSIGHTS: "k"}, TelemetrySettings(connection_string="k"), True),
        ({"OTEL_SDK_DISABLED": "True", OTLP: "http://x", INSIGHTS: "k"}, TelemetrySettings(), False),
        ({"TRACEPARENT": PARENT}, TelemetrySettings(traceparent=PARENT), False),
    ],
)
def test_telemetry_is_on_where_an_endpoint_is_named(
    environ: dict[str, str], found: TelemetrySettings, is_on: bool
) -> None:
    assert read_telemetry_settings(environ) == found
    assert found.is_on == is_on


def test_connection_string_is_not_shown() -> None:
    assert "k3y" not in repr(TelemetrySettings(connection_string="k3y"))
