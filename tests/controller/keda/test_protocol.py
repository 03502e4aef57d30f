"""The compiled protocol is the one that is written down."""

from __future__ import annotations

from pathlib import Path

from grpc_tools import protoc

from tests.servers.processes import ROOT

SOURCE = "controller/keda/externalscaler.proto"


def test_the_compiled_protocol_is_up_to_date(tmp_path: Path) -> None:
    made = protoc.main(["", f"-I{ROOT}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", SOURCE])

    assert made == 0
    for name in ("externalscaler_pb2.py", "externalscaler_pb2.pyi"):
        kept = (ROOT / "controller" / "keda" / name).read_text(encoding="utf-8")
        assert (tmp_path / "controller" / "keda" / name).read_text(encoding="utf-8") == kept, "run `make protocol`"
