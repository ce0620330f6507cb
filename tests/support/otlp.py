"""A receiver of OTLP over HTTP that is not ours but for its sockets: opentelemetry-proto reads what it gets.

Each body must be octet for octet what opentelemetry-proto would make of what it read. A collector that keeps points by their
series and times: the same point twice is one.
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

Labels = tuple[tuple[str, str], ...]


class Receiver:
    """`points`: by labels and name, the values by their times in nanoseconds. `bad`: bodies that were not as they should be.

    `refuses`: names of metrics whose points it rejects, in a partial success. `status`: of each answer.
    """

    def __init__(self) -> None:
        self.points: dict[Labels, dict[int, int | float]] = {}
        self.received = self.requests = 0
        self.bad: list[str] = []
        self.refuses: set[str] = set()
        self.status = 200
        self.url = ""

    def take(self, headers, body: bytes) -> bytes:
        """The octets of the answer."""
        self.requests += 1
        if headers["Content-Type"] != "application/x-protobuf" or headers["Content-Encoding"] != "gzip":
            self.bad.append(f"{headers['Content-Type']}, {headers['Content-Encoding']}")
        plain = gzip.decompress(body)
        request = ExportMetricsServiceRequest.FromString(plain)
        if request.SerializeToString(deterministic=True) != plain:
            self.bad.append("the octets are not those that opentelemetry-proto makes")
        rejected = 0
        for resource in request.resource_metrics:
            of_resource = {one.key: one.value.string_value for one in resource.resource.attributes}
            for metric in resource.scope_metrics[0].metrics:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    if metric.name in self.refuses:
                        rejected += 1
                        continue
                    own = {one.key: one.value.string_value for one in point.attributes}
                    labels = {**own, "instance": of_resource["service.instance.id"], "__name__": metric.name}
                    self.received += 1
                    values = self.points.setdefault(tuple(sorted(labels.items())), {})
                    values[point.time_unix_nano] = getattr(point, point.WhichOneof("value"))
        answer = ExportMetricsServiceResponse()
        if rejected:
            answer.partial_success.rejected_data_points = rejected
            answer.partial_success.error_message = "these names are not welcome"
        return answer.SerializeToString()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """One that listens on a free port of the loopback until the end of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.take(self.headers, body) if receiver.status == 200 else b""
            self.send_response(receiver.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/v1/metrics"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
