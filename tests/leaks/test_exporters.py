"""Exporters: what a monitor reads comes out at the other end; without the library there is a clear error."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest

from safemem import monitor
from safemem.leaks.exporters import opentelemetry, prometheus


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [(prometheus, "prometheus_client", "prometheus"), (opentelemetry, "opentelemetry.metrics", "opentelemetry")],
)
def test_missing_library_is_a_clear_error(make, module, extra, monkeypatch):
    """The error names the library and the extra to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{module} is not installed: pip install 'safemem\[{extra}\]'"):
        make()


def alarmed(exporter):
    """A monitor that has ticked once and alarmed once, of its own thread, still running."""
    told = threading.Event()
    watching = monitor(3600, rss_slope=None, threads=1, on_alert=lambda _: told.set(), exporters=[exporter])
    watching.start()
    assert told.wait(30)
    return watching


def test_prometheus():
    """The metrics are in the registry while the monitor runs, and not after."""
    client = pytest.importorskip("prometheus_client", reason="the extra prometheus is not installed")
    registry = client.CollectorRegistry()
    watching = alarmed(prometheus(registry))
    text = client.generate_latest(registry).decode()
    for line in (
        "safemem_process_threads 2.0",
        'safemem_alerts_total{kind="threads"} 1.0',
        "safemem_rss_slope_bytes_per_second",
        "safemem_allocated_blocks",
    ):
        assert line in text
    watching.stop()
    assert client.generate_latest(registry) == b""
    watching.start()
    assert b"safemem_process_threads" in client.generate_latest(registry)
    gone = weakref.ref(watching)
    del watching
    gc.collect()
    assert gone() is None


def test_opentelemetry():
    """The instruments tell while the monitor runs, and nothing after."""
    pytest.importorskip("opentelemetry.sdk.metrics", reason="the extra opentelemetry is not installed")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    watching = alarmed(opentelemetry(MeterProvider([reader]).get_meter("tests")))

    def told():
        data = reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        return {metric.name: [point.value for point in metric.data.data_points] for scope in scopes for metric in scope.metrics}

    first = told()
    assert first["safemem.process_threads"] == [2]
    assert first["safemem.alerts"] == [1]
    assert "safemem.rss_slope" in first
    watching.stop()
    assert not told().get("safemem.process_threads")
