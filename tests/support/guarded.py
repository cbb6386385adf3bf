"""A broker that asks who comes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, List

from tests.support.kafka import Cluster
from tests.support.ports import free_ports

STRICT = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
SECURITY = "org.apache.kafka.common.security"
LOGINS = {
    "PLAIN": f'{SECURITY}.plain.PlainLoginModule required user_alice="right";',
    "OAUTHBEARER": f'{SECURITY}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
    "SCRAM-SHA-512": f"{SECURITY}.scram.ScramLoginModule required;",
}
TLS = "TLS"


class Guarded(Cluster):
    """A broker that heeds rules about rights, has none yet, and has further doors, by the name of the mechanism by which one
    says who one is there; with a `folder` of `certificates` also one that asks for the client's."""

    def __init__(self, *mechanisms: str, certificates: str = "") -> None:
        """Nothing runs yet."""
        super().__init__()
        self._mechanisms = mechanisms
        self._certificates = certificates
        self.doors: Dict[str, str] = {}  # host:port of each, once started

    def _configuration(self, number: int, listeners: List[str], controllers: List[str]) -> Dict[str, str]:
        plain = super()._configuration(number, listeners, controllers)
        names = [*self._mechanisms, *([TLS] if self._certificates else [])]
        self.doors = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports("127.0.0.1", len(names)))}
        doors = "".join(f",{_listener(name)}://{address}" for name, address in self.doors.items())
        protocols = "".join(f",{_listener(name)}:{'SSL' if name == TLS else 'SASL_PLAINTEXT'}" for name in names)
        found = {
            **plain,
            **STRICT,
            "listeners": plain["listeners"] + doors,
            "advertised.listeners": plain["advertised.listeners"] + doors,
            "listener.security.protocol.map": plain["listener.security.protocol.map"] + protocols,
        }
        for name in self._mechanisms:
            door = f"listener.name.{_listener(name).lower()}"
            found[f"{door}.sasl.enabled.mechanisms"] = name
            found[f"{door}.{name.lower()}.sasl.jaas.config"] = LOGINS[name]
        if self._certificates:
            for store, file in (("keystore", "broker.pem"), ("truststore", "ca.crt")):
                found[f"listener.name.tls.ssl.{store}.type"] = "PEM"
                found[f"listener.name.tls.ssl.{store}.location"] = f"{self._certificates}/{file}"
            found["listener.name.tls.ssl.client.auth"] = "required"
        return found


def _listener(name: str) -> str:
    return name.replace("-", "")


def certify(folder: Path) -> str:
    """Certificates of an authority, a broker and two clients, of whom one has an expired one, in this folder, which exists."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    _openssl(folder, f"req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=ca -days 2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, days in (("broker", "2"), ("alice", "2"), ("mallory", "-1")):
        _openssl(folder, f"req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        signing = f"-CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -days {days}"
        _openssl(folder, f"x509 -req -in {name}.csr -out {name}.crt {signing}")
        (folder / f"{name}.pem").write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text())
    return str(folder)


def _openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
