"""Answers as gzip for those who take it (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

SMALLEST = 1024  # bytes; of less, gzip saves nothing that counts
_LEVEL = 5


def install(app: Flask) -> None:
    app.after_request(_pack)


def _pack(answer: Response) -> Response:
    if answer.direct_passthrough or answer.is_streamed or answer.headers.get("Content-Encoding"):
        return answer
    plain = answer.get_data()
    if len(plain) <= SMALLEST:
        return answer
    answer.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        answer.set_data(gzip.compress(plain, _LEVEL, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
    return answer
