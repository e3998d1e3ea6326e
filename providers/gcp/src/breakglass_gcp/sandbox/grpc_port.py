"""The gRPC port: any method of any service that Google's clients know, answered by the front."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.front import Front
from breakglass_gcp.sandbox.status import details
from breakglass_gcp.sandbox.tables import Method, Tables
from breakglass_gcp.sandbox.transcode import parse, serialize

WORKERS = 64
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcPort:
    """A gRPC server without a description of its own: methods are looked up as they are called."""

    def __init__(self, front: Front, tables: Tables, port: int) -> None:
        """Listen; nothing is served before `start`.

        Raises:
            OSError: the port is taken.
        """
        self._front, self._tables = front, tables
        self._server = grpc.server(
            ThreadPoolExecutor(WORKERS, "grpc"),
            handlers=(_Generic(self._handler),),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
        )
        try:
            self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def start(self) -> None:
        """Serve from threads of its own."""
        self._server.start()

    def stop(self) -> None:
        """End serving."""
        self._server.stop(0.1)

    def _handler(self, path: str) -> Any:  # noqa: ANN401 - grpc.RpcMethodHandler
        method = self._tables.grpc(path)
        if method is None:
            return None
        if method.kind == "unary_unary":
            return grpc.unary_unary_rpc_method_handler(self._unary(method))
        wrap = getattr(grpc, f"{method.kind}_rpc_method_handler")
        return wrap(self._streaming(method))

    def _unary(self, method: Method) -> Callable[[bytes, Any], bytes]:
        def answer(data: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc.ServicerContext
            try:
                said = self._front.answer(
                    method.key, parse(method.request, data), dict(context.invocation_metadata()), "grpc"
                )
                return serialize(method.response, said)
            except Refusal as refusal:
                return _abort(context, refusal)

        return answer

    def _streaming(self, method: Method) -> Callable[[Any, Any], Iterator[bytes]]:
        def answer(asked: Any, context: Any) -> Iterator[bytes]:  # noqa: ANN401 - as above
            several = method.kind.startswith("stream")
            request = (
                (parse(method.request, data) for data in asked) if several else parse(method.request, asked)
            )
            try:
                for said in self._front.stream(method.key, request, dict(context.invocation_metadata())):
                    yield serialize(method.response, said)
            except Refusal as refusal:
                _abort(context, refusal)

        return answer


class _Generic(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc's own way to look methods up
    def __init__(self, find: Callable[[str], Any]) -> None:
        self._find = find

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401 - grpc's types
        return self._find(handler_call_details.method)


def _abort(context: Any, refusal: Refusal) -> bytes:  # noqa: ANN401 - grpc.ServicerContext
    context.set_trailing_metadata((("grpc-status-details-bin", details(refusal).SerializeToString()),))
    context.abort(_CODES[refusal.grpc], refusal.message)
    return b""
