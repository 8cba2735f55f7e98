"""Handing a monitor's readings on: to Prometheus, and to OpenTelemetry; each needs its extra.

from safemem.leaks.exporters import prometheus
watching = monitor(30, exporters=[prometheus()])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safemem.leaks.monitor import Alert
    from safemem.leaks.readings import Reading

__all__ = ["OpenTelemetry", "Prometheus", "opentelemetry", "prometheus"]

# Name of the metric, unit, what it is, and where it stands.
_GAUGES: Final = (
    ("process_rss", "bytes", "Resident memory of the process", "rss"),
    ("process_uss", "bytes", "Resident memory of the process that is not shared", "uss"),
    ("process_fds", "", "Open descriptors", "fds"),
    ("process_threads", "", "Python threads that are alive", "threads"),
    ("allocated_blocks", "", "Blocks that Python's allocator has handed out", "blocks"),
)
_SLOPE: Final = ("rss_slope", "bytes_per_second", "How fast the resident memory rises (Theil-Sen, 30 readings)")
_ALERTS: Final = ("alerts", "Alerts of the monitor")


class _Latest:
    """What exporters have in common: the latest reading, the slope, and how many alerts there were."""

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self.slope = 0.0
        self.alerts: dict[str, int] = {}

    def tell(self, reading: Reading, slope: float) -> None:
        """Take a reading."""
        self.reading, self.slope = reading, slope

    def alert(self, alert: Alert) -> None:
        """Count an alert."""
        self.alerts[alert.kind] = self.alerts.get(alert.kind, 0) + 1

    def values(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield name, unit, description and value of each gauge that has one."""
        reading = self.reading
        if reading is None:
            return
        for name, unit, text, field in _GAUGES:
            value = getattr(reading, field)
            if value is not None:
                yield name, unit, text, value
        yield (*_SLOPE, self.slope)


class Prometheus(_Latest):
    """A collector of `prometheus_client` that is registered while the monitor runs."""

    def __init__(self, registry: Any) -> None:
        super().__init__()
        self._registry = registry
        self._registered = False
        self._families = import_module("prometheus_client.core")

    def begin(self) -> None:
        """Register with the registry."""
        if not self._registered:
            self._registry.register(self)
            self._registered = True

    def end(self) -> None:
        """Leave the registry."""
        if self._registered:
            self._registered = False
            self._registry.unregister(self)

    def describe(self) -> list[Any]:
        """Return no names: a registry would collect to find them out."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield the metrics, when Prometheus asks for them."""
        for name, unit, text, value in self.values():
            full = f"safemem_{name}_{unit}" if unit else f"safemem_{name}"
            yield self._families.GaugeMetricFamily(full, text, value=value)
        name, text = _ALERTS
        counter = self._families.CounterMetricFamily(f"safemem_{name}", text, labels=["kind"])
        for kind, count in sorted(self.alerts.items()):
            counter.add_metric([kind], count)
        yield counter


class OpenTelemetry(_Latest):
    """Observable gauges of an OpenTelemetry meter; the meter keeps them for good, but not what they tell once this is gone."""

    def __init__(self, meter: Any) -> None:
        super().__init__()
        self._meter = meter
        self._made = False
        self._running = False
        self._metrics = import_module("opentelemetry.metrics")

    def begin(self) -> None:
        """Make the instruments, once."""
        self._running = True
        if self._made:
            return
        self._made = True
        for name, unit, text, _ in _GAUGES:
            self._meter.create_observable_gauge(f"safemem.{name}", [self._observe(name)], unit=_unit(unit), description=text)
        name, _, text = _SLOPE
        self._meter.create_observable_gauge(f"safemem.{name}", [self._observe(name)], unit="By/s", description=text)
        name, text = _ALERTS
        self._meter.create_observable_counter(f"safemem.{name}", [_alerts_of(ref(self), self._metrics)], description=text)

    def end(self) -> None:
        """Say nothing more."""
        self._running = False

    def _observe(self, name: str) -> Any:
        return _value_of(ref(self), name, self._metrics)

    def observations(self, name: str) -> list[float]:
        """Return the value of a gauge, if there is one now."""
        return [value for found, _, _, value in self.values() if found == name] if self._running else []


def _unit(unit: str) -> str:
    return "By" if unit == "bytes" else "1"


def _value_of(exporter: ref[OpenTelemetry], name: str, metrics: Any) -> Any:
    """Return a callback that does not keep the exporter alive."""

    def observe(_options: object) -> list[Any]:
        found = exporter()
        return [] if found is None else [metrics.Observation(value) for value in found.observations(name)]

    return observe


def _alerts_of(exporter: ref[OpenTelemetry], metrics: Any) -> Any:
    def observe(_options: object) -> list[Any]:
        found = exporter()
        return [] if found is None else [metrics.Observation(count, {"kind": kind}) for kind, count in sorted(found.alerts.items())]

    return observe


def prometheus(registry: Any = None) -> Prometheus:
    """Return an exporter for Prometheus: `monitor(30, exporters=[prometheus()])`.

    The metrics are `safemem_process_rss_bytes`, `safemem_process_uss_bytes`, `safemem_process_fds`, `safemem_process_threads`,
    `safemem_allocated_blocks`, `safemem_rss_slope_bytes_per_second`, and `safemem_alerts_total` by `kind`. They are in the registry, by default
    that of `prometheus_client`, while the monitor runs.

    Raises:
        ImportError: `prometheus_client` is not installed.
    """
    client = _extra("prometheus_client", "prometheus")
    return Prometheus(client.REGISTRY if registry is None else registry)


def opentelemetry(meter: Any = None) -> OpenTelemetry:
    """Return an exporter for OpenTelemetry: `monitor(30, exporters=[opentelemetry()])`.

    The instruments are the observable gauges `safemem.process_rss`, `.process_uss`, `.process_fds`, `.process_threads`, `.allocated_blocks`,
    `.rss_slope`, and the observable counter `safemem.alerts` with the attribute `kind`; of `meter`, by default of the global
    meter provider's meter "safemem".

    Raises:
        ImportError: `opentelemetry-api` is not installed.
    """
    metrics = _extra("opentelemetry.metrics", "opentelemetry")
    return OpenTelemetry(metrics.get_meter("safemem") if meter is None else meter)


def _extra(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is not installed: pip install 'safemem[{extra}]'", name=module) from error
