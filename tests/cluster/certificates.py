"""Throw-away certificates of a cluster: one authority for the API server, one for the aggregation layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_NAMES = ("localhost", "127.0.0.1", "kubernetes.default.svc", "10.0.0.1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of one cluster."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Signed the API server's certificate, and clients'."""
        return self.folder / "ca.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        """Certificate and key that servers on loopback may show."""
        return self.folder / "server.crt", self.folder / "server.key"

    @property
    def front_ca(self) -> Path:
        """Signed the aggregation layer's certificate."""
        return self.folder / "front.crt"

    @property
    def proxy(self) -> tuple[Path, Path]:
        """With which the API server calls aggregated ones."""
        return self.folder / "proxy.crt", self.folder / "proxy.key"

    @property
    def service_accounts(self) -> tuple[Path, Path]:
        """Public and private key of service-account tokens."""
        return self.folder / "sa.pub", self.folder / "sa.key"


def make_certificates(folder: Path) -> Certificates:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder)
    ca, front = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(made.ca))
    front.cert_pem.write_to_path(str(made.front_ca))
    for leaf, (certificate, key) in (
        (ca.issue_cert(*_NAMES, common_name="localhost"), made.server),
        (front.issue_cert(*_NAMES, common_name="front-proxy"), made.proxy),
    ):
        leaf.cert_chain_pems[0].write_to_path(str(certificate))
        leaf.private_key_pem.write_to_path(str(key))
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public, private = made.service_accounts
    public.write_bytes(
        pair.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    private.write_bytes(
        pair.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return made
